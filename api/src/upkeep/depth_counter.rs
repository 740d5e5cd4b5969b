//! Counts what waits, for whoever asks: one count at a time in a process, and never one right after the other.
//!
//! A count reads all dispatches, so nobody makes one for a single request. Those who ask while none is fresh wait for the next
//! one together.
//!
//! Jobs that were canceled or have expired while they waited are still in their dispatches. So where anything waits these are
//! looked for now and then, and what is found is taken out and counted anew: before anybody is refused, since who is asks for a count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::store::{QueueDepth, StoreError};
use raincheck_shared::telemetry::Chain;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::sleep;

use super::{Parts, Waiting};

/// So long a count is believed, and so long at least is between two that were asked for. One that takes longer is believed for
/// as long as it took, so that counting never takes more than half of the time.
const FRESH: Duration = Duration::from_millis(200);

/// So long at least is between two looks for what waits no more. One that takes longer is followed by a pause of ten times as long.
const LOOK: Duration = Duration::from_secs(1);

/// As long as a look finds something the next follows, for no longer than this: somebody may be waiting for the count.
const LOOKS: Duration = Duration::from_millis(300);

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// Jobs that waited.
    pub waiting: Waiting,
    /// Counts up with each count that is begun; 0: nothing was counted yet.
    pub(crate) number: u64,
    /// Until when it is believed.
    pub(crate) fresh_until: Option<Instant>,
}

/// Jobs that wait, as last counted, and a way to have them counted anew. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Depths {
    latest: watch::Receiver<Arc<Count>>,
    begun: Arc<AtomicU64>,
    wanted: Arc<Notify>,
}

impl Depths {
    /// The latest count, if it is later than that number.
    pub(crate) fn newer_than(&self, number: u64) -> Option<Arc<Count>> {
        let latest = self.latest.borrow();
        (latest.number > number).then(|| Arc::clone(&latest))
    }

    /// How many counts have been begun. What was committed before is in the next one.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Waits for a count later than that number; asks for one, if none is under way. False: nobody counts any more.
    pub(crate) async fn later_than(&self, number: u64) -> bool {
        self.wanted.notify_one();
        self.latest.clone().wait_for(|count| count.number > number).await.is_ok()
    }

    /// What a test says was counted.
    #[cfg(test)]
    pub(crate) fn told() -> (watch::Sender<Arc<Count>>, Self, Arc<AtomicU64>) {
        let (told, latest) = watch::channel(Arc::default());
        let begun = Arc::<AtomicU64>::default();
        (told, Self { latest, begun: Arc::clone(&begun), wanted: Arc::default() }, begun)
    }
}

/// Makes counts. Cloning shares it.
#[derive(Clone)]
pub(super) struct DepthCounter {
    parts: Parts,
    told: Arc<watch::Sender<Arc<Count>>>,
    begun: Arc<AtomicU64>,
    /// Held by who counts: when what waits no more is looked for again.
    next_look: Arc<Mutex<Option<Instant>>>,
}

/// Starts to count for those who ask.
pub(super) fn start(parts: &Parts, shutdown: &Shutdown) -> (DepthCounter, Depths) {
    let (told, latest) = watch::channel(Arc::default());
    let begun = Arc::<AtomicU64>::default();
    let counter = DepthCounter {
        parts: parts.clone(),
        told: Arc::new(told),
        begun: Arc::clone(&begun),
        next_look: Arc::default(),
    };
    let wanted = Arc::<Notify>::default();
    let (counts, asked, stop) = (counter.clone(), Arc::clone(&wanted), shutdown.clone());
    shutdown.spawn(async move {
        loop {
            tokio::select! {
                () = stop.begun() => return,
                () = asked.notified() => {}
            }
            let before = counts.parts.clock.monotonic();
            if let Err(error) = counts.count().await {
                tracing::debug!(error = %Chain(&error), "what waits could not be counted");
            }
            let took = counts.parts.clock.monotonic().saturating_duration_since(before);
            tokio::select! {
                () = stop.begun() => return,
                () = sleep(took.max(FRESH)) => {}
            }
        }
    });
    (counter, Depths { latest, begun, wanted })
}

impl DepthCounter {
    /// Counts, and lets everybody know.
    pub(super) async fn count(&self) -> Result<Vec<QueueDepth>, StoreError> {
        let mut next_look = self.next_look.lock().await;
        let mut counted = self.count_once().await?;
        let is_due = next_look.is_none_or(|at| at <= self.parts.clock.monotonic());
        if is_due && !counted.1.is_empty() {
            let (any, rested) = self.drop_spent().await;
            *next_look = Some(rested);
            if any {
                counted = self.count_once().await?;
            }
        }
        let (count, depths) = counted;
        self.told.send_replace(Arc::new(count));
        Ok(depths)
    }

    async fn count_once(&self) -> Result<(Count, Vec<QueueDepth>), StoreError> {
        let clock = &self.parts.clock;
        let began = clock.monotonic();
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let depths = self.parts.store.outbox.depths(&self.parts.remote_kinds).await?;
        let answered = clock.monotonic();
        let fresh_until = answered + answered.saturating_duration_since(began).max(FRESH);
        Ok((Count { waiting: Waiting::of(&depths), number, fresh_until: Some(fresh_until) }, depths))
    }

    /// Takes out what waits no more; whether there was any, and when to look again. A failure is no reason not to count.
    async fn drop_spent(&self) -> (bool, Instant) {
        let clock = &self.parts.clock;
        let (began, mut any) = (clock.monotonic(), false);
        loop {
            let dropped = self.parts.store.outbox.drop_spent().await.unwrap_or_else(|error| {
                tracing::warn!(error = %Chain(&error), "what waits no more is counted still");
                0
            });
            any |= dropped > 0;
            let now = clock.monotonic();
            let took = now.saturating_duration_since(began);
            if dropped == 0 || took >= LOOKS {
                return (any, now + (took * 10).max(LOOK));
            }
        }
    }
}
