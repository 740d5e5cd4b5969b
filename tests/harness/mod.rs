//! What tests stand on: stores to test against.

pub(crate) mod store;
