//! What every backend of a kind promises, written once and run against each.

mod store;
