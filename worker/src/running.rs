//! The attempts that run, or wait here for a slot: how each is told to stop, what it reports, and which claim it belongs to.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use raincheck_shared::domain::{Fence, JobId, KindName, LeaseId, Progress, QueueName, WorkerId};
use raincheck_shared::store::ProgressReport;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::handler_log::{HandlerLog, Recording};

/// What an attempt's task is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing: run.
    No,
    /// Drop the handler and give the job back to the queue.
    GiveBack,
    /// Drop the handler and say nothing: the job is somebody else's.
    Abandon,
}

/// One attempt.
pub(crate) struct Run {
    pub(crate) fence: Fence,
    pub(crate) worker: WorkerId,
    pub(crate) lease: LeaseId,
    pub(crate) kind: KindName,
    pub(crate) queue: QueueName,
    /// When it got its slot; `None`: it has none.
    pub(crate) started: Option<Instant>,
    pub(crate) canceled: CancellationToken,
    /// Fires first when a client asked for it.
    pub(crate) unwanted: CancellationToken,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) progress: watch::Receiver<Option<Progress>>,
    pub(crate) log: HandlerLog,
}

impl Run {
    /// Tells it to stop in the given way, unless it was told before: whoever gives a job back that is no longer this worker's is
    /// refused, and that is counted.
    fn tell(&self, how: Stop) {
        self.stop.send_if_modified(|told| {
            let first = *told == Stop::No;
            if first {
                *told = how;
            }
            first
        });
    }
}

/// A claimed attempt for which there was no slot.
struct Waiting {
    token: Uuid,
    start: oneshot::Sender<()>,
}

/// All attempts of this process, by the token of their fence, and what is left of each claim.
#[derive(Default)]
pub(crate) struct Running {
    runs: HashMap<Uuid, Run>,
    /// Those without a slot, in the order of their claims.
    waiting: Vec<Waiting>,
    by_job: HashMap<JobId, Uuid>,
    left: HashMap<LeaseId, usize>,
}

impl Running {
    pub(crate) fn add(&mut self, run: Run) {
        *self.left.entry(run.lease).or_default() += 1;
        self.by_job.insert(run.fence.job, run.fence.token);
        self.runs.insert(run.fence.token, run);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Lets an attempt wait for a slot. It may start when this is answered, and never if that is dropped.
    pub(crate) fn wait(&mut self, token: Uuid) -> oneshot::Receiver<()> {
        let (start, started) = oneshot::channel();
        self.waiting.push(Waiting { token, start });
        started
    }

    /// Starts what waits and gets a slot, those first that came first; answers the queues of what was started.
    pub(crate) fn start_waiting(&mut self, now: Instant, mut slot: impl FnMut(&KindName) -> bool) -> Vec<QueueName> {
        let mut started = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            // What was canceled meanwhile ends without a slot.
            let run = self.runs.get_mut(&waiting.token).filter(|run| !run.canceled.is_cancelled());
            let Some(run) = run else { continue };
            if slot(&run.kind) {
                run.started = Some(now);
                started.push(run.queue.clone());
                let _ = waiting.start.send(());
            } else {
                self.waiting.push(waiting);
            }
        }
        started
    }

    /// Gives the jobs of such queues back that wait for a slot.
    pub(crate) fn give_back_waiting(&mut self, of: impl Fn(&QueueName) -> bool) {
        self.waiting.retain(|waiting| match self.runs.get(&waiting.token) {
            Some(run) if of(&run.queue) => {
                run.tell(Stop::GiveBack);
                false
            }
            _ => true,
        });
    }

    /// The kind of an attempt that still counts as running.
    pub(crate) fn get(&self, token: &Uuid) -> Option<&Run> {
        self.runs.get(token)
    }

    /// Notes that an attempt's end is on its way to the store; answers its claim's record if it was the last of that.
    pub(crate) fn ending(&mut self, token: &Uuid) -> Option<LeaseId> {
        let lease = self.runs.get(token)?.lease;
        let left = self.left.get_mut(&lease)?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.left.remove(&lease);
        Some(lease)
    }

    /// Forgets an attempt whose end is settled.
    pub(crate) fn remove(&mut self, token: &Uuid) -> Option<Run> {
        let run = self.runs.remove(token)?;
        if self.by_job.get(&run.fence.job) == Some(token) {
            self.by_job.remove(&run.fence.job);
        }
        Some(run)
    }

    /// Passes a cancel on to the handler, if the job runs here.
    pub(crate) fn cancel(&self, job: &JobId) -> bool {
        let run = self.by_job.get(job).and_then(|token| self.runs.get(token));
        if let Some(run) = run {
            run.unwanted.cancel();
            run.canceled.cancel();
        }
        run.is_some()
    }

    /// Asks every handler to stop.
    pub(crate) fn cancel_all(&self) {
        self.runs.values().for_each(|run| run.canceled.cancel());
    }

    /// Tells every attempt to stop in the given way, unless it was told before. What waits will not start.
    pub(crate) fn stop_all(&mut self, how: Stop) {
        self.runs.values().for_each(|run| run.tell(how));
        self.waiting.clear();
    }

    /// Progress that was reported since the last call.
    pub(crate) fn new_progress(&mut self) -> Vec<ProgressReport> {
        let changed = self.runs.values_mut().filter(|run| run.progress.has_changed().unwrap_or(false));
        changed
            .filter_map(|run| {
                let progress = run.progress.borrow_and_update().clone()?;
                Some(ProgressReport { fence: run.fence, progress })
            })
            .collect()
    }

    /// Lines that were logged since the last call.
    pub(crate) fn new_lines(&self) -> Vec<Recording> {
        self.runs.values().filter_map(|run| run.log.begin_recording(run.fence)).collect()
    }

    /// The claims of `worker` that still have attempts, and the fences of all attempts that run under it.
    pub(crate) fn held_by(&self, worker: WorkerId) -> (Vec<LeaseId>, Vec<Fence>) {
        let held: Vec<&Run> = self.runs.values().filter(|run| run.worker == worker).collect();
        let leases: HashSet<LeaseId> = held.iter().map(|run| run.lease).collect();
        (leases.into_iter().collect(), held.iter().map(|run| run.fence).collect())
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};

    use super::*;

    fn run_of(kind: &str, queue: &str) -> (Run, watch::Receiver<Stop>) {
        let ids = IdSource;
        let (stop, told) = watch::channel(Stop::No);
        let run = Run {
            fence: Fence { job: ids.job(), attempt: 1, token: ids.random() },
            worker: ids.worker(),
            lease: ids.lease(),
            kind: kind.parse().unwrap(),
            queue: queue.parse().unwrap(),
            started: None,
            canceled: CancellationToken::new(),
            unwanted: CancellationToken::new(),
            stop,
            progress: watch::channel(None).1,
            log: HandlerLog::new(0, SystemClock::shared()),
        };
        (run, told)
    }

    #[test]
    fn who_was_told_to_give_a_job_back_is_not_told_to_say_nothing_afterwards() {
        let (run, told) = run_of("echo", "default");
        let mut running = Running::default();
        running.add(run);
        running.stop_all(Stop::GiveBack);
        running.stop_all(Stop::Abandon);
        assert_eq!(*told.borrow(), Stop::GiveBack);
    }

    #[test]
    fn who_waits_starts_in_turn_with_a_slot_and_not_once_canceled_given_back_or_stopped() {
        let mut running = Running::default();
        let wait = |running: &mut Running, kind: &str, queue: &str| {
            let (run, told) = run_of(kind, queue);
            let (token, job) = (run.fence.token, run.fence.job);
            running.add(run);
            (running.wait(token), job, told)
        };
        let (mut first, ..) = wait(&mut running, "a", "one");
        let (mut second, ..) = wait(&mut running, "a", "one");
        let (mut other, ..) = wait(&mut running, "b", "two");
        let (mut canceled, job, _) = wait(&mut running, "b", "two");
        let (mut elsewhere, _, told) = wait(&mut running, "b", "three");
        running.cancel(&job);
        running.give_back_waiting(|queue| queue.as_str() == "three");
        assert_eq!(*told.borrow(), Stop::GiveBack);

        let now = SystemClock.monotonic();
        let mut slots = vec!["a", "b", "b", "b"];
        let mut slot =
            |kind: &KindName| slots.iter().position(|of| *of == kind.as_str()).map(|at| slots.remove(at)).is_some();
        let queues = running.start_waiting(now, &mut slot);
        assert_eq!(queues.iter().map(QueueName::as_str).collect::<Vec<_>>(), ["one", "two"]);
        assert!(first.try_recv().is_ok() && other.try_recv().is_ok());
        let waits = oneshot::error::TryRecvError::Empty;
        let never = oneshot::error::TryRecvError::Closed;
        assert_eq!(second.try_recv(), Err(waits), "the first had the only slot");
        assert_eq!([canceled.try_recv(), elsewhere.try_recv()], [Err(never.clone()), Err(never.clone())]);
        running.stop_all(Stop::Abandon);
        assert_eq!(running.start_waiting(now, |_| true), []);
        assert_eq!(second.try_recv(), Err(never));
    }
}
