//! What the relay publishes through.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{BrokerError, Link};
use crate::domain::{Band, Dispatch, QueueName};

/// Publishes dispatches. Only the relay does.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes a batch with pipelined confirms, each dispatch as one persistent, `mandatory` message to the queue of
    /// its queue and band, declared if need be. Answers in order; `Ok` means the broker has confirmed. Never takes
    /// longer than the configured publish timeout, whatever the broker does.
    async fn publish(&self, batch: &[Dispatch]) -> Vec<Result<(), BrokerError>>;

    /// Messages that are ready in the broker's queue of this queue and band; those handed to a consumer do not count.
    async fn ready_messages(&self, queue: &QueueName, band: Band) -> Result<u64, BrokerError>;

    /// Whether publishing is likely to work. Changes wake the relay.
    fn link(&self) -> watch::Receiver<Link>;

    /// Tries the connection and the arguments of these queues, for `raincheck doctor`: the server's name and version,
    /// or what is wrong.
    async fn check(&self, queues: &[QueueName]) -> Result<String, BrokerError>;
}
