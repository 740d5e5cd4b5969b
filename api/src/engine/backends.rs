//! What is behind the desk: where it keeps things, and what runs beside it.

use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::Broker;
use raincheck_shared::domain::Dispatch;
use raincheck_shared::lifecycle::{Nudge, ReconcilerHealth};
use raincheck_shared::store::Store;
use tokio::sync::mpsc;

use crate::streak::Streak;
use crate::upkeep::Depths;

/// Where everything is kept, and how it is told.
pub(crate) struct Backends {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) broker: Broker,
}

/// What connects the endpoints with the repair loops of the same process.
#[derive(Debug)]
pub struct Links {
    /// Takes what was accepted, to be published straight away. When it is full (or nobody listens) the dispatches are
    /// found in the store a second or two later.
    pub relay: mpsc::Sender<Vec<Dispatch>>,
    /// Has those looked at that wait for permits.
    pub parked: Nudge,
    /// How much waits in each queue.
    pub depths: Depths,
    /// Wakes the loop that makes the jobs of schedules, when one was made that may be due soon.
    pub ticks: Nudge,
    /// How publishing goes.
    pub publishing: Streak,
    /// The loops whose health `/readyz` shows.
    pub loops: Vec<ReconcilerHealth>,
}
