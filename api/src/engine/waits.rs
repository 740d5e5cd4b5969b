//! Wakes those who wait for a job to move.
//!
//! A waiter registers its interest *before* it reads the job, so whatever happens after the read wakes it. Wake-ups are
//! hints: one that was lost costs at most a second, since what anybody waits for is also looked up once a second, all of
//! it in one go, and only while somebody waits.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raincheck_shared::broker::{Signal, Wakeups};
use raincheck_shared::domain::{JobId, Version};
use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::store::{Glimpse, Jobs, moved_past};
use raincheck_shared::telemetry::Chain;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

const SWEEP: Duration = Duration::from_secs(1);
/// Ids of one look-up.
const SWEEP_BATCH: usize = 1_000;

/// What has been heard of a job since somebody began to wait for it.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    latest: Option<Glimpse>,
    /// Raised when something may have happened that nobody can tell: read the job.
    doubts: u64,
}

impl Heard {
    /// Hints arrive in any order: an older one changes nothing.
    fn hear(&mut self, glimpse: Glimpse) -> bool {
        let newer = self.latest.is_none_or(|latest| glimpse.version > latest.version);
        if newer {
            self.latest = Some(glimpse);
        }
        newer
    }
}

#[derive(Debug)]
struct Waited {
    heard: watch::Sender<Heard>,
    waiters: usize,
}

#[derive(Debug, Default)]
struct Board {
    waited: Mutex<HashMap<JobId, Waited>>,
    /// Somebody began to wait while nobody did.
    woken: Notify,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Waited>> {
        // A map and counters: no panic can leave them half changed.
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, glimpses: &[Glimpse]) {
        let waited = self.lock();
        for glimpse in glimpses {
            if let Some(entry) = waited.get(&glimpse.id) {
                entry.heard.send_if_modified(|heard| heard.hear(*glimpse));
            }
        }
    }

    fn doubt(&self, ids: impl Iterator<Item = JobId>) {
        let waited = self.lock();
        for id in ids {
            if let Some(entry) = waited.get(&id) {
                entry.heard.send_modify(|heard| heard.doubts += 1);
            }
        }
    }

    fn ids(&self) -> Vec<JobId> {
        self.lock().keys().copied().collect()
    }
}

/// Where waiters and wake-ups meet. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Waits(Arc<Board>);

/// Somebody's interest in one job; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Interest {
    id: JobId,
    board: Arc<Board>,
    heard: watch::Receiver<Heard>,
    doubts_met: u64,
}

impl Waits {
    /// Starts listening to wake-ups.
    pub(crate) fn start(jobs: Arc<dyn Jobs>, wakeups: &dyn Wakeups, shutdown: &Shutdown) -> Self {
        let board = Arc::<Board>::default();
        let listening = Arc::clone(&board);
        let mut signals = wakeups.subscribe();
        shutdown.spawn_service(async move {
            loop {
                match signals.recv().await {
                    Ok(Signal::Changed(changes)) => listening.hear(&changes),
                    Ok(Signal::Missed) | Err(RecvError::Lagged(_)) => {
                        let ids = listening.ids();
                        listening.doubt(ids.into_iter());
                    }
                    Ok(Signal::CancelRequested(_) | Signal::Leasable(_) | Signal::TimerSet(_) | Signal::WorkerDied) => {
                    }
                    // No hints any more: the sweep goes on.
                    Err(RecvError::Closed) => return,
                }
            }
        });
        shutdown.spawn_service(sweep(Arc::clone(&board), jobs));
        Self(board)
    }

    /// Jobs that somebody waits for.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().len() as u64
    }

    /// Registers interest in a job. To be called before the job is read.
    pub(crate) fn interest(&self, id: JobId) -> Interest {
        let mut waited = self.0.lock();
        let first = waited.is_empty();
        let entry = waited.entry(id).or_insert_with(|| Waited { heard: watch::Sender::default(), waiters: 0 });
        entry.waiters += 1;
        let heard = entry.heard.subscribe();
        drop(waited);
        if first {
            self.0.woken.notify_one();
        }
        let doubts_met = heard.borrow().doubts;
        Interest { id, board: Arc::clone(&self.0), heard, doubts_met }
    }
}

impl Interest {
    /// Resolves when the job may have moved past what was seen (`None`: may have ended). The caller reads it again.
    pub(crate) async fn moved(&mut self, seen: Option<Version>) {
        loop {
            let heard = *self.heard.borrow_and_update();
            if heard.doubts != self.doubts_met {
                self.doubts_met = heard.doubts;
                return;
            }
            if heard.latest.is_some_and(|glimpse| moved_past(&glimpse, seen)) {
                return;
            }
            if self.heard.changed().await.is_err() {
                // The sender lives in the board as long as this interest does.
                return;
            }
        }
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.board.lock().entry(self.id) {
            entry.get_mut().waiters -= 1;
            if entry.get().waiters == 0 {
                entry.remove();
            }
        }
    }
}

async fn sweep(board: Arc<Board>, jobs: Arc<dyn Jobs>) {
    let mut beat = tokio::time::interval(SWEEP);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        if board.ids().is_empty() {
            board.woken.notified().await;
            beat.reset();
        }
        beat.tick().await;
        for batch in board.ids().chunks(SWEEP_BATCH) {
            match jobs.find_glimpses(batch).await {
                Ok(glimpses) => {
                    failing = false;
                    board.hear(&glimpses);
                    let found: HashSet<JobId> = glimpses.iter().map(|glimpse| glimpse.id).collect();
                    board.doubt(batch.iter().copied().filter(|id| !found.contains(id)));
                }
                Err(error) => {
                    // Said once for each outage. Wake-ups still come.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(error = %Chain(&error), "cannot look up the jobs that clients wait for");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::domain::Status;
    use raincheck_shared::lifecycle::IdSource;

    use super::*;

    fn waits() -> Waits {
        Waits(Arc::default())
    }

    fn glimpse(id: JobId, version: Version, status: Status) -> Glimpse {
        Glimpse { id, version, status }
    }

    #[tokio::test]
    async fn a_change_between_the_registration_and_the_wait_is_not_missed() {
        let (waits, id) = (waits(), IdSource.job());
        let mut interest = waits.interest(id);
        waits.0.hear(&[glimpse(id, 2, Status::InProgress)]);
        interest.moved(Some(1)).await;
    }

    #[tokio::test]
    async fn who_waits_for_the_end_sleeps_through_other_changes() {
        let (waits, id) = (waits(), IdSource.job());
        let mut interest = waits.interest(id);
        waits.0.hear(&[glimpse(id, 2, Status::InProgress)]);
        assert!(futures_util::FutureExt::now_or_never(interest.moved(None)).is_none());
        waits.0.hear(&[glimpse(id, 3, Status::Succeeded)]);
        interest.moved(None).await;
    }

    #[tokio::test]
    async fn an_older_hint_that_arrives_late_does_not_hide_a_newer_one() {
        let (waits, id) = (waits(), IdSource.job());
        let mut interest = waits.interest(id);
        waits.0.hear(&[glimpse(id, 3, Status::Succeeded), glimpse(id, 2, Status::InProgress)]);
        interest.moved(None).await;
    }

    #[tokio::test]
    async fn a_doubt_wakes_once() {
        let (waits, id) = (waits(), IdSource.job());
        let mut interest = waits.interest(id);
        waits.0.doubt([id].into_iter());
        interest.moved(None).await;
        assert!(futures_util::FutureExt::now_or_never(interest.moved(None)).is_none());
    }

    #[tokio::test]
    async fn nobody_is_remembered_after_the_last_waiter_has_gone() {
        let (waits, id) = (waits(), IdSource.job());
        let (first, second) = (waits.interest(id), waits.interest(id));
        drop(first);
        assert_eq!(waits.0.ids(), [id]);
        drop(second);
        assert!(waits.0.ids().is_empty());
    }
}
