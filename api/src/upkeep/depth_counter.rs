//! Counts what waits, for whoever asks: one count at a time in a process, and never one right after the other.
//!
//! A count reads all dispatches, so nobody makes one for a single request. Those who ask while none is fresh wait for the next
//! one together.

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
    one: Arc<Mutex<()>>,
}

/// Starts to count for those who ask.
pub(super) fn start(parts: &Parts, shutdown: &Shutdown) -> (DepthCounter, Depths) {
    let (told, latest) = watch::channel(Arc::default());
    let begun = Arc::<AtomicU64>::default();
    let counter =
        DepthCounter { parts: parts.clone(), told: Arc::new(told), begun: Arc::clone(&begun), one: Arc::default() };
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
        let _one = self.one.lock().await;
        let clock = &self.parts.clock;
        let began = clock.monotonic();
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let depths = self.parts.store.outbox.depths(&self.parts.remote_kinds).await?;
        let answered = clock.monotonic();
        let fresh_until = answered + answered.saturating_duration_since(began).max(FRESH);
        let waiting = Waiting::of(&depths);
        self.told.send_replace(Arc::new(Count { waiting, number, fresh_until: Some(fresh_until) }));
        Ok(depths)
    }
}
