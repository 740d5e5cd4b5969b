//! What workers consume through.

use async_trait::async_trait;
use tokio::sync::watch;

use super::Link;
use crate::domain::{Dispatch, QueueName};

/// What to do with a message once it is clear what became of it. Dropped without a word, it is given back.
pub trait Receipt: Send {
    /// The dispatch was claimed, or nothing of it was left to claim.
    fn ack(self: Box<Self>);

    /// Another worker should have it.
    fn give_back(self: Box<Self>);
}

/// A message.
pub struct Delivery {
    /// What it says.
    pub dispatch: Dispatch,
    /// How to settle it.
    pub receipt: Box<dyn Receipt>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("dispatch", &self.dispatch).finish_non_exhaustive()
    }
}

/// A stream of messages that outlives every connection: a supervisor behind it reconnects, declares, subscribes.
#[async_trait]
pub trait Deliveries: Send {
    /// The next message. Bands are merged by weight, none starved. Waits while the broker is away. `None` after
    /// [`Deliveries::stop`].
    async fn next(&mut self) -> Option<Delivery>;

    /// Whether messages can arrive at all; while `Down`, the worker claims from the store.
    fn link(&self) -> watch::Receiver<Link>;

    /// Takes nothing of these queues, until another call leaves them out. What was received of them and not handed out goes
    /// back to the broker. It does not touch [`Deliveries::link`]: there is nothing that the store should deliver instead.
    fn pause(&mut self, queues: &[QueueName]);

    /// Takes nothing more. What was received and not yet settled goes back to the broker; receipts already handed out
    /// still work.
    async fn stop(&mut self);
}

/// Makes streams of messages.
#[async_trait]
pub trait Consumers: Send + Sync {
    /// Subscribes to `queues`, all bands, with at most `prefetch` messages unsettled in all. Answers at once; the
    /// connection is made behind it.
    async fn consume(&self, queues: &[QueueName], prefetch: u16) -> Box<dyn Deliveries>;
}
