//! What the tests stand on: services, processes, clients, stores, and waiting for values.
#![expect(missing_docs, reason = "the harness is read along with the tests")]

pub mod client;
pub mod cluster;
pub mod process;
pub mod served;
pub mod services;
pub(crate) mod store;
pub mod wait;
