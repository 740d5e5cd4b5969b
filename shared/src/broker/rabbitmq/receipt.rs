//! What a consumer holds of a message: the right to settle it, over the channel that brought it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::DeliveryTag;
use lapin::{Acker, Channel};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::connection::SupervisedConnection;
use crate::broker::Receipt;

/// How long an acknowledgement waits for others. Each one that goes alone costs the broker a write to the disk, just when the
/// database wants the disk for the end of the same job. Whatever dies meanwhile is delivered again, and nothing is left to
/// claim of it.
const COMPANY: Duration = Duration::from_millis(25);

/// The channel that messages came over. It stays open, with its connection, while one of them is unsettled.
pub(super) struct Origin {
    channel: Channel,
    _connection: Arc<SupervisedConnection>,
    held: Mutex<Held>,
    /// Acknowledgements held back at most: too many would take up the prefetch.
    most: usize,
    first_held: Notify,
}

/// Acknowledgements held back.
#[derive(Default)]
struct Held {
    tags: Vec<DeliveryTag>,
    /// Somebody sees to it that they go out in time.
    kept: bool,
}

impl Origin {
    /// `prefetch`: how many messages the broker hands over the channel before it waits for one to be settled.
    pub(super) fn new(channel: Channel, connection: Arc<SupervisedConnection>, prefetch: u16) -> Arc<Self> {
        let most = usize::from(prefetch / 4);
        Arc::new(Self { channel, _connection: connection, held: Mutex::default(), most, first_held: Notify::new() })
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Lets acknowledgements wait for one another until the answer is dropped; what is held then goes out at once.
    pub(super) fn keep_company(&self) -> Company<'_> {
        self.held().kept = true;
        Company(self)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledge(&self, tag: DeliveryTag) {
        let mut held = self.held();
        held.tags.push(tag);
        if !held.kept || held.tags.len() >= self.most {
            self.send(&mut held);
        } else if held.tags.len() == 1 {
            self.first_held.notify_one();
        }
    }

    fn send(&self, held: &mut Held) {
        for tag in held.tags.drain(..) {
            // The first poll puts the frame in line, ahead of a close that may follow, and nobody waits for it to be
            // written: whether it gets there cannot be known anyway, and the message would come again. The acker's own
            // way takes a detour through a task, which such a close overtakes.
            let _ = self.channel.basic_ack(tag, BasicAckOptions::default()).now_or_never();
        }
    }
}

/// Acknowledgements wait for one another while this lives.
pub(super) struct Company<'a>(&'a Origin);

impl Company<'_> {
    /// Sends what has waited long enough; to be polled all the time.
    pub(super) async fn see_to_it(&self) -> Infallible {
        loop {
            self.0.first_held.notified().await;
            tokio::time::sleep(COMPANY).await;
            self.0.send(&mut self.0.held());
        }
    }
}

impl Drop for Company<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.kept = false;
        self.0.send(&mut held);
    }
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
            self.origin.acknowledge(self.tag);
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
