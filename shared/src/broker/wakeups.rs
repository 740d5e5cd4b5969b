//! Hints from process to process. They may be lost; the store answers whoever asks again.

use std::time::Duration;

use tokio::sync::broadcast;

use crate::domain::{JobId, KindName};
use crate::store::Change;

/// How many hints a subscriber may be behind before it lags.
pub(super) const HEARD_AT_MOST: usize = 4096;

/// A hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// These jobs reached these versions: whoever waits for one reads it.
    Changed(Vec<Change>),
    /// Running handlers of these jobs are to be canceled: whichever worker has one tells it.
    CancelRequested(Vec<JobId>),
    /// Jobs of these kinds wait for whoever leases them.
    Leasable(Vec<KindName>),
    /// A timer was set that is due this soon: whoever sleeps until the earliest looks again.
    TimerSet(Duration),
    /// A worker was declared dead. What the broker keeps for it, should its connection still stand, is in the store too.
    WorkerDied,
    /// Hints were missed (a reconnect, an overflow): whoever waits reads again.
    Missed,
}

/// Carries hints to every process, this one included.
pub trait Wakeups: Send + Sync {
    /// Sends a hint; never waits, and drops it when it cannot be sent.
    fn announce(&self, signal: Signal);

    /// Hears all hints from now on. A receiver that lags must treat that as [`Signal::Missed`].
    fn subscribe(&self) -> broadcast::Receiver<Signal>;

    /// Whether the broker is there and lets nobody here hear what others say.
    fn are_refused(&self) -> bool;
}
