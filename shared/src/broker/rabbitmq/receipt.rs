//! What a consumer holds of a message: the right to settle it, over the channel that brought it.

use std::sync::Arc;

use futures_util::FutureExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::DeliveryTag;
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
    tag: DeliveryTag,
    /// Knows whether the channel that brought the message has ended.
    acker: Acker,
    settled: bool,
    origin: Arc<Origin>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Unsettled {
    pub(super) fn new(message: &Delivery, origin: Arc<Origin>) -> Self {
        Self { tag: message.delivery_tag, acker: message.acker.clone(), settled: false, origin, permit: None }
    }

    /// Counts against the consumer's prefetch from now on.
    pub(super) fn count(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
    }

    /// Whether settling it would still mean anything.
    pub(super) fn is_live(&self) -> bool {
        !self.settled && self.acker.usable() && self.origin.channel.status().connected()
    }

    /// Tells the broker that this one is done with.
    pub(super) fn settle(&mut self) {
        if self.is_live() {
            // The first poll puts the frame in line, ahead of a close that may follow, and nobody waits for it to be
            // written: whether it gets there cannot be known anyway, and the message would come again. The acker's own
            // way takes a detour through a task, which such a close overtakes.
            let _ = self.origin.channel.basic_ack(self.tag, BasicAckOptions::default()).now_or_never();
        }
        self.settled = true;
    }
}

impl Receipt for Unsettled {
    fn ack(mut self: Box<Self>) {
        self.settle();
    }

    fn give_back(self: Box<Self>) {}
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if self.is_live() {
            let requeue = BasicNackOptions { multiple: false, requeue: true };
            let _ = self.origin.channel.basic_nack(self.tag, requeue).now_or_never();
        }
    }
}
