//! The broker that delivers: RabbitMQ, 3.10 or later.
//!
//! Three connections, each made when it is first needed and made again, afresh, whenever it is lost: one to publish, one
//! for each worker's stream of messages, one for wake-ups. A broker that blocks publishers still delivers.

mod backoff;
mod bulletin;
mod connection;
mod consumer;
mod inbox;
mod publisher;
mod receipt;
mod refusal;
mod server;
mod session;
mod subscription;
mod topology;
mod unreadable;
mod wakeups;
mod wire;

use std::sync::Arc;

use self::consumer::QueueConsumers;
use self::publisher::QueuePublisher;
use self::topology::Names;
use self::wakeups::FanoutWakeups;
use super::Broker;
use crate::config::RabbitmqSettings;
use crate::lifecycle::Shutdown;

/// Opens the broker; its supervisors connect behind it, inside a tokio runtime. `role` names the process for the
/// broker's operator.
pub fn open(settings: &RabbitmqSettings, role: &'static str, shutdown: &Shutdown) -> Broker {
    let names = Names::under(&settings.prefix);
    let publisher = Arc::new(QueuePublisher::new(settings.clone(), names.clone(), role, shutdown.clone()));
    let wakeups = FanoutWakeups::new(settings.clone(), &names, role, shutdown.clone());
    let consumers = QueueConsumers {
        settings: settings.clone(),
        names,
        role,
        shutdown: shutdown.clone(),
        publisher: Arc::clone(&publisher),
    };
    Broker { publisher, consumers: Arc::new(consumers), wakeups: Arc::new(wakeups) }
}

/// What must hold for any wake-up that comes in; panics when it does not.
#[cfg(feature = "laws")]
pub(crate) fn wakeup_law(body: &[u8]) {
    bulletin::law(body);
}
