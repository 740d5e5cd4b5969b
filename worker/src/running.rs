//! The attempts that run: how each is told to stop, what it reports, and which claim it belongs to.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use raincheck_shared::domain::{Fence, JobId, KindName, LeaseId, Progress, QueueName, WorkerId};
use raincheck_shared::store::ProgressReport;
use tokio::sync::watch;
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
    pub(crate) started: Instant,
    pub(crate) canceled: CancellationToken,
    /// Fires first when a client asked for it.
    pub(crate) unwanted: CancellationToken,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) progress: watch::Receiver<Option<Progress>>,
    pub(crate) log: HandlerLog,
}

/// All attempts of this process, by the token of their fence, and what is left of each claim.
#[derive(Default)]
pub(crate) struct Running {
    runs: HashMap<Uuid, Run>,
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

    /// Tells every attempt to stop in the given way, unless it was told before: whoever gives a job back that is no longer
    /// this worker's is refused, and that is counted.
    pub(crate) fn stop_all(&self, how: Stop) {
        for run in self.runs.values() {
            run.stop.send_if_modified(|told| {
                let first = *told == Stop::No;
                if first {
                    *told = how;
                }
                first
            });
        }
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

    #[test]
    fn who_was_told_to_give_a_job_back_is_not_told_to_say_nothing_afterwards() {
        let ids = IdSource;
        let (stop, told) = watch::channel(Stop::No);
        let mut running = Running::default();
        running.add(Run {
            fence: Fence { job: ids.job(), attempt: 1, token: ids.random() },
            worker: ids.worker(),
            lease: ids.lease(),
            kind: "echo".parse().unwrap(),
            queue: "default".parse().unwrap(),
            started: SystemClock.monotonic(),
            canceled: CancellationToken::new(),
            unwanted: CancellationToken::new(),
            stop,
            progress: watch::channel(None).1,
            log: HandlerLog::new(0, raincheck_shared::lifecycle::SystemClock::shared()),
        });
        running.stop_all(Stop::GiveBack);
        running.stop_all(Stop::Abandon);
        assert_eq!(*told.borrow(), Stop::GiveBack);
    }
}
