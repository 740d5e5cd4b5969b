//! What the tests stand on.

pub(crate) mod broker;
pub(crate) mod private_rabbitmq;
