//! How queues stand, and pausing them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::domain::{QueueName, Timestamp};
use raincheck_shared::store::{LivingWorker, QueueLedger};

use super::Refusal;
use super::desk::Desk;

/// How old an answer may be: what waits is counted for all who ask within that time at once.
const FRESH: Duration = Duration::from_millis(500);

/// What a run is taken to last while nobody has said how long they do.
const UNKNOWN_RUN_SECONDS: f64 = 1.0;

/// One queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueueState {
    pub(crate) name: QueueName,
    /// Jobs that wait.
    pub(crate) waiting: u64,
    /// Jobs that run.
    pub(crate) running: u64,
    /// For how long the one that waits longest has waited.
    pub(crate) oldest: Option<Duration>,
    /// Attempts that ended lately.
    pub(crate) ends_per_second: f64,
    /// How long they ran on average.
    pub(crate) run_seconds: Option<f64>,
    /// Workers that serve it.
    pub(crate) workers: u64,
    /// Their slots, which they may share with other queues.
    pub(crate) slots: u64,
    /// How long those slots would take for what waits.
    pub(crate) backlog_seconds: f64,
    pub(crate) paused_at: Option<Timestamp>,
}

/// All queues, and who works.
#[derive(Debug, Default)]
pub(crate) struct QueueStates {
    pub(crate) queues: Vec<QueueState>,
    pub(crate) workers: Vec<LivingWorker>,
}

/// The latest answer. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct QueueBoard(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    latest: Option<(Instant, Arc<QueueStates>)>,
    /// How long runs took in each queue, while somebody ran them: with no worker left the backlog is still worth a number,
    /// since it is what starts the first one.
    run_seconds: BTreeMap<QueueName, f64>,
}

impl QueueBoard {
    fn with<T>(&self, act: impl FnOnce(&mut Board) -> T) -> T {
        // Values that are replaced whole: no panic can leave them half changed.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Desk {
    /// Every queue that is configured, holds something, is served or paused; by name.
    pub(crate) async fn queues(&self) -> Result<Arc<QueueStates>, Refusal> {
        let now = self.clock.monotonic();
        let fresh = self.board.with(|board| {
            let (at, states) = board.latest.as_ref()?;
            (now.saturating_duration_since(*at) < FRESH).then(|| Arc::clone(states))
        });
        match fresh {
            Some(states) => Ok(states),
            None => self.look_at_queues().await,
        }
    }

    async fn look_at_queues(&self) -> Result<Arc<QueueStates>, Refusal> {
        let ledger = self.calls.ask(|store| async move { store.queues.find_ledger().await }).await?;
        let mut known = self.settings.queues();
        known.extend(self.settings.worker.queues.iter().cloned());
        Ok(self.board.with(|board| {
            let states = Arc::new(states(ledger, &known, &mut board.run_seconds));
            board.latest = Some((self.clock.monotonic(), Arc::clone(&states)));
            states
        }))
    }

    /// One queue, as it stands now.
    pub(crate) async fn queue(&self, name: &QueueName) -> Result<QueueState, Refusal> {
        let states = self.look_at_queues().await?;
        let found = states.queues.iter().find(|queue| queue.name == *name).cloned();
        found.ok_or_else(|| Refusal::UnknownQueue(name.clone()))
    }

    /// Lets workers start nothing more of a queue, or start again.
    pub(crate) async fn set_paused(&self, name: &QueueName, paused: bool) -> Result<QueueState, Refusal> {
        self.queue(name).await?;
        let queue = name.clone();
        let set = move |store: raincheck_shared::store::Store| async move {
            if paused { store.queues.pause_queue(&queue).await } else { store.queues.resume_queue(&queue).await }
        };
        self.calls.ask(set).await?;
        tracing::info!(queue = %name, paused, "a queue was paused or resumed");
        self.queue(name).await
    }
}

fn states(ledger: QueueLedger, known: &[QueueName], learned: &mut BTreeMap<QueueName, f64>) -> QueueStates {
    let empty = |name: &QueueName| QueueState {
        name: name.clone(),
        waiting: 0,
        running: 0,
        oldest: None,
        ends_per_second: 0.0,
        run_seconds: None,
        workers: 0,
        slots: 0,
        backlog_seconds: 0.0,
        paused_at: None,
    };
    let mut queues: BTreeMap<QueueName, QueueState> = known.iter().map(|name| (name.clone(), empty(name))).collect();
    let mut at = |name: &QueueName, change: &mut dyn FnMut(&mut QueueState)| {
        change(queues.entry(name.clone()).or_insert_with(|| empty(name)));
    };
    for waits in &ledger.waiting {
        at(&waits.queue, &mut |queue| (queue.waiting, queue.oldest) = (waits.jobs, Some(waits.oldest)));
    }
    for (name, since) in &ledger.paused {
        at(name, &mut |queue| queue.paused_at = Some(*since));
    }
    // An upstream that will end its job itself runs it, but takes no other.
    let (upstreams, workers): (Vec<_>, Vec<_>) =
        ledger.workers.into_iter().partition(|worker| worker.report.awaits_upstream);
    for report in upstreams.iter().flat_map(|upstream| &upstream.report.queues) {
        let Ok(name) = report.queue.parse() else { continue };
        at(&name, &mut |queue| queue.running += report.running);
    }
    // A remote worker has a lease for each job that it runs, and is told from others by the name under which it leases.
    let mut remote = BTreeSet::new();
    for worker in &workers {
        for report in &worker.report.queues {
            let Ok(name) = report.queue.parse() else { continue };
            at(&name, &mut |queue| {
                let is_new = !worker.is_remote || remote.insert((name.clone(), worker.name.as_str()));
                queue.workers += u64::from(is_new);
                queue.slots += worker.report.slots;
                queue.running += report.running;
                // Weighed by how much each of them does; alike while none does anything.
                let (had, has) = (queue.ends_per_second, report.ends_per_second);
                queue.run_seconds = match (queue.run_seconds, report.run_seconds) {
                    (Some(mean), Some(run)) if had + has > 0.0 => Some((mean * had + run * has) / (had + has)),
                    (Some(mean), Some(run)) => Some(f64::midpoint(mean, run)),
                    (mean, run) => mean.or(run),
                };
                queue.ends_per_second += has;
            });
        }
    }
    for queue in queues.values_mut() {
        if let Some(run) = queue.run_seconds {
            learned.insert(queue.name.clone(), run);
        }
        let run = queue.run_seconds.or(learned.get(&queue.name).copied()).unwrap_or(UNKNOWN_RUN_SECONDS);
        queue.backlog_seconds = float(queue.waiting) * run / float(queue.slots.max(1));
    }
    QueueStates { queues: queues.into_values().collect(), workers }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate of thousands of millions need not be exact")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use raincheck_shared::domain::{QueueReport, WorkerReport};
    use raincheck_shared::lifecycle::IdSource;
    use raincheck_shared::store::WaitingJobs;

    use super::*;

    fn worker(slots: u64, run_seconds: Option<f64>, ends_per_second: f64) -> LivingWorker {
        let queue = QueueReport { queue: "a".to_owned(), running: 2, ends_per_second, run_seconds };
        let report = WorkerReport { slots, queues: vec![queue], ..WorkerReport::default() };
        LivingWorker {
            id: IdSource.worker(),
            name: "w".to_owned(),
            is_remote: false,
            silent_for: Duration::ZERO,
            report,
        }
    }

    #[test]
    fn a_backlog_is_what_waits_times_its_run_time_over_the_slots_also_once_nobody_works_any_more() {
        let name: QueueName = "a".parse().unwrap();
        let waiting = || vec![WaitingJobs { queue: name.clone(), jobs: 100, oldest: Duration::from_secs(9) }];
        let mut learned = BTreeMap::new();
        let workers = vec![worker(4, Some(2.0), 3.0), worker(6, Some(6.0), 1.0), worker(0, None, 0.0)];
        let busy = states(QueueLedger { waiting: waiting(), workers, ..QueueLedger::default() }, &[], &mut learned);
        let queue = &busy.queues[0];
        assert_eq!((queue.workers, queue.slots, queue.running, queue.waiting), (3, 10, 6, 100));
        assert!((queue.run_seconds.unwrap() - 3.0).abs() < 1e-9 && (queue.ends_per_second - 4.0).abs() < 1e-9);
        assert!((queue.backlog_seconds - 30.0).abs() < 1e-9);
        let alone = states(QueueLedger { waiting: waiting(), ..QueueLedger::default() }, &[], &mut learned);
        assert!((alone.queues[0].backlog_seconds - 300.0).abs() < 1e-9, "one slot is what a first worker has at least");
        let new = states(QueueLedger { waiting: waiting(), ..QueueLedger::default() }, &[], &mut BTreeMap::new());
        assert!((new.queues[0].backlog_seconds - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_remote_worker_counts_once_however_many_leases_it_has() {
        let lease = |name: &str| {
            let report = worker(1, None, 0.0).report;
            LivingWorker { name: name.to_owned(), is_remote: true, report, ..worker(1, None, 0.0) }
        };
        let workers = vec![lease("press"), lease("press"), lease("oven"), lease("press"), worker(4, None, 0.0)];
        let told = states(QueueLedger { workers, ..QueueLedger::default() }, &[], &mut BTreeMap::new());
        let queue = &told.queues[0];
        assert_eq!((queue.workers, queue.slots, queue.running), (3, 8, 10));
    }
}
