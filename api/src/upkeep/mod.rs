//! What runs behind the API, in every replica: the relay that publishes what was accepted, and the loops that repair.
//!
//! All loops are safe together and idempotent; the next run is the retry. See [`raincheck_shared::lifecycle`].

mod blob_sweeper;
mod depth_counter;
mod depths;
mod due_jobs;
mod lost_dispatch_finder;
mod overdue_runs;
mod parked_releaser;
mod relay;
mod retention;
mod tick_runner;
mod worker_reaper;

use std::sync::Arc;

use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::{Broker, Signal};
use raincheck_shared::config::Settings;
use raincheck_shared::domain::{Dispatch, KindName};
use raincheck_shared::lifecycle::{Clock, Nudge, ReconcilerHealth, Shutdown};
use raincheck_shared::store::{Moved, Store};
use tokio::sync::{broadcast, mpsc};

pub use depth_counter::{Count, Depths};
pub use depths::{Share, Waiting};

use crate::streak::Streak;

/// The running loops.
#[derive(Debug)]
pub struct Upkeep {
    /// Where dispatches go straight after their commit. Full or closed, it may be ignored: the relay finds them in the
    /// store a little later.
    pub relay: mpsc::Sender<Vec<Dispatch>>,
    /// Has those looked at that wait for permits.
    pub parked: Nudge,
    /// How much waits, counted every few seconds and when it is asked for.
    pub depths: Depths,
    /// Wakes the loop that makes the jobs of schedules.
    pub ticks: Nudge,
    /// How publishing goes.
    pub publishing: Streak,
    /// How each loop is doing.
    pub health: Vec<ReconcilerHealth>,
}

/// What the loops share.
#[derive(Clone)]
struct Parts {
    settings: Arc<Settings>,
    store: Store,
    blobs: Blobs,
    broker: Broker,
    clock: Arc<dyn Clock>,
    relay: mpsc::Sender<Vec<Dispatch>>,
    publishing: Streak,
    /// Whose jobs are leased, and not sent over the broker.
    remote_kinds: Arc<[KindName]>,
}

impl Parts {
    /// Tells the world what a repair did.
    fn spread(&self, moved: Moved) {
        if !moved.dispatches.is_empty() {
            // Full: the relay's scan finds them.
            let _ = self.relay.try_send(moved.dispatches);
        }
        if !moved.changes.is_empty() {
            self.broker.wakeups.announce(Signal::Changed(moved.changes));
        }
    }
}

/// Starts them all.
pub fn start(
    settings: &Arc<Settings>,
    store: &Store,
    blobs: &Blobs,
    broker: &Broker,
    clock: &Arc<dyn Clock>,
    shutdown: &Shutdown,
) -> Upkeep {
    let (relay, offered) = mpsc::channel(1024);
    let parts = Parts {
        settings: Arc::clone(settings),
        store: store.clone(),
        blobs: blobs.clone(),
        broker: broker.clone(),
        clock: Arc::clone(clock),
        relay: relay.clone(),
        publishing: Streak::none(
            "the broker takes no messages: jobs are claimed from the store",
            "the broker takes messages again",
        ),
        remote_kinds: settings.remote_kinds().into(),
    };
    let (timers, ticks, parked) = (Nudge::default(), Nudge::default(), Nudge::default());
    let (counter, depths) = depth_counter::start(&parts, shutdown);
    let mut health = vec![
        relay::start(&parts, offered, shutdown),
        due_jobs::start(&parts, timers.clone(), shutdown),
        tick_runner::start(&parts, depths.clone(), (ticks.clone(), parked.clone()), shutdown),
        parked_releaser::start(&parts, parked.clone(), shutdown),
        worker_reaper::start(&parts, shutdown),
        lost_dispatch_finder::start(&parts, counter, shutdown),
        blob_sweeper::start(&parts, shutdown),
    ];
    health.extend(retention::start(&parts, shutdown));
    if settings.kinds.values().any(|kind| kind.is_remote() || kind.calls_back()) {
        health.push(overdue_runs::start(&parts, shutdown));
    }
    shutdown.spawn_service(pass_on(broker.wakeups.subscribe(), timers));
    Upkeep { relay, parked, depths, ticks, publishing: parts.publishing, health }
}

/// A timer that is due sooner than the loop would look wakes it now, and again when it is due.
async fn pass_on(mut signals: broadcast::Receiver<Signal>, timers: Nudge) {
    loop {
        match signals.recv().await {
            Ok(Signal::TimerSet(_) | Signal::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => timers.nudge(),
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
