//! What a consumer holds of a message: the right to settle it, over the channel that brought it.

use std::sync::Arc;

use futures_util::FutureExt;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Acker, Channel};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::SupervisedConnection;
use crate::broker::Receipt;

/// The channel that messages came over. It stays open, with its connection, while one of them is unsettled.
pub(super) struct Origin {
    pub(super) channel: Channel,
    pub(super) _connection: Arc<SupervisedConnection>,
}

/// A message that is not settled yet. Dropped, it goes back to its queue. Once its connection is gone it means nothing:
/// the broker has taken the message back itself.
pub(super) struct Unsettled {
    acker: Acker,
    origin: Arc<Origin>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Unsettled {
    pub(super) fn new(acker: Acker, origin: Arc<Origin>) -> Self {
        Self { acker, origin, permit: None }
    }

    /// Counts against the consumer's prefetch from now on.
    pub(super) fn count(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
    }

    /// Whether settling it would still mean anything.
    pub(super) fn is_live(&self) -> bool {
        self.acker.usable() && self.origin.channel.status().connected()
    }

    /// Tells the broker that this one is done with.
    pub(super) fn settle(&self) {
        // The first poll hands the frame to the connection, and nobody waits for it to be written: whether it gets there
        // cannot be known anyway, and the message would come again.
        let _ = self.acker.ack(BasicAckOptions::default()).now_or_never();
    }
}

impl Receipt for Unsettled {
    fn ack(self: Box<Self>) {
        self.settle();
    }

    fn give_back(self: Box<Self>) {}
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        // Does nothing after an ack: an acker works once.
        let requeue = BasicNackOptions { multiple: false, requeue: true };
        let _ = self.acker.nack(requeue).now_or_never();
    }
}
