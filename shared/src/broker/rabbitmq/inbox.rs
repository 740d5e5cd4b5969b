//! What has arrived for one worker and was not taken yet, shared between its subscriptions and its stream.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::receipt::Unsettled;
use crate::broker::Link;
use crate::domain::{Band, Dispatch, PerBand, Turns};

/// A message in the inbox.
pub(super) struct Arrived {
    /// Number of the subscription that brought it.
    pub(super) subscription: usize,
    pub(super) dispatch: Dispatch,
    pub(super) receipt: Unsettled,
}

#[derive(Default)]
struct Shelves {
    arrived: PerBand<VecDeque<Arrived>>,
    turns: Turns,
    /// Subscriptions that are in order.
    subscribed: usize,
}

/// The inbox.
pub(super) struct Inbox {
    shelves: Mutex<Shelves>,
    subscriptions: usize,
    link: watch::Sender<Link>,
    something_arrived: Notify,
    /// How often somebody asked for a message.
    asked: AtomicU64,
    somebody_asked: Notify,
}

impl Inbox {
    pub(super) fn new(subscriptions: usize) -> Self {
        Self {
            shelves: Mutex::default(),
            subscriptions,
            link: watch::Sender::new(Link::Down),
            something_arrived: Notify::new(),
            asked: AtomicU64::new(0),
            somebody_asked: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, band: Band, message: Arrived) {
        self.lock().arrived.get_mut(band).push_back(message);
        self.something_arrived.notify_one();
    }

    /// Waits for the next message that can still be settled.
    pub(super) async fn next(&self) -> Arrived {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.somebody_asked.notify_waiters();
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            self.something_arrived.notified().await;
        }
    }

    fn take(&self) -> Option<Arrived> {
        let mut shelves = self.lock();
        let Shelves { arrived, turns, .. } = &mut *shelves;
        turns.pick(|band| {
            // Those of a lost connection come again over the next one.
            std::iter::from_fn(|| arrived.get_mut(band).pop_front()).find(|message| message.receipt.is_live())
        })
    }

    /// Gives back everything that one subscription brought.
    pub(super) fn clear(&self, subscription: usize) {
        let mut shelves = self.lock();
        for band in Band::ALL {
            shelves.arrived.get_mut(band).retain(|message| message.subscription != subscription);
        }
    }

    pub(super) fn holds_any_of(&self, subscription: usize, band: Band) -> bool {
        self.lock().arrived.get(band).iter().any(|message| message.subscription == subscription)
    }

    /// How often somebody asked so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Resolves when somebody asks again after `seen`.
    pub(super) async fn asked_after(&self, seen: u64) {
        loop {
            let asks = self.somebody_asked.notified();
            if self.asked() != seen {
                return;
            }
            asks.await;
        }
    }

    /// Up only while all subscriptions are in order: what one of them misses, the store has to deliver.
    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Notes that one more subscription is in order, until the answer is dropped.
    pub(super) fn subscribed(&self) -> Subscribed<'_> {
        self.count(1);
        Subscribed(self)
    }

    fn count(&self, change: isize) {
        let mut shelves = self.lock();
        shelves.subscribed = shelves.subscribed.saturating_add_signed(change);
        let link = if shelves.subscribed == self.subscriptions { Link::Up } else { Link::Down };
        self.link.send_if_modified(|current| std::mem::replace(current, link) != link);
    }
}

/// A subscription that is in order.
pub(super) struct Subscribed<'a>(&'a Inbox);

impl Drop for Subscribed<'_> {
    fn drop(&mut self) {
        self.0.count(-1);
    }
}
