//! What the tests stand on: services, processes, clients, and waiting for values.

pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod private_rabbitmq;
pub(crate) mod process;
pub(crate) mod room;
pub(crate) mod served;
pub(crate) mod services;
pub(crate) mod store;
pub(crate) mod wait;
