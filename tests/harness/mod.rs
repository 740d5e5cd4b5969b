//! What the tests stand on: services, processes, clients, and waiting for values.

pub(crate) mod authority;
pub(crate) mod broker;
pub(crate) mod room;
pub(crate) mod served;
pub(crate) mod store;

pub(crate) use raincheck_proof::stage::{client, cluster, contract, events, process, receiver, services, temp, wait};
