//! How a waiting job is announced. The broker carries ids, as a fast doorbell: losing all that it holds costs latency,
//! never a job.
//!
//! Two brokers implement the traits, [`rabbitmq`] and [`in_process`], and pass one contract suite
//! (`tests/contracts/broker`).

mod consumer;
mod envelope;
mod error;
pub mod in_process;
mod publisher;
pub mod rabbitmq;
mod wakeups;

use std::sync::Arc;

pub use consumer::{Consumers, Deliveries, Delivery, Receipt};
pub use envelope::{Envelope, EnvelopeError};
pub use error::BrokerError;
pub use publisher::Publisher;
pub use wakeups::{Signal, Wakeups};

/// Whether the broker can be reached, as a part of raincheck sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Connected, and it takes what it is given.
    Up,
    /// Not connected, or it blocks: a supervisor is trying again.
    Down,
}

/// One broker, seen by its roles. Cloning shares it.
#[derive(Clone)]
pub struct Broker {
    /// What the relay publishes through.
    pub publisher: Arc<dyn Publisher>,
    /// What workers consume through.
    pub consumers: Arc<dyn Consumers>,
    /// Hints to every process: jobs changed, cancels, earlier timers.
    pub wakeups: Arc<dyn Wakeups>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}
