//! What every store, broker and blob store promises, written once and run against each.

pub(crate) mod blobs;
mod broker;
mod store;
