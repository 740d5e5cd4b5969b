//! The broker that delivers: RabbitMQ.

use super::Broker;
use crate::config::RabbitmqSettings;
use crate::lifecycle::Shutdown;

/// Opens the broker; its supervisors connect behind it.
pub fn open(_settings: &RabbitmqSettings, _role: &'static str, _shutdown: &Shutdown) -> Broker {
    unimplemented!("not written yet")
}
