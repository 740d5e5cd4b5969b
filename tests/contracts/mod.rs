//! What every store and every broker promises, written once and run against each.

mod broker;
mod store;
