//! Records how attempts ended: one lane, in order, a batch being whatever ended while the previous one was written.
//!
//! One lane, because the last job of a claim takes the claim's record with it: it must not be committed before the
//! others of that claim are. What the store did not answer is sent again until it does; a recorded end answers the same
//! the second time.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::{Signal, Wakeups};
use raincheck_shared::domain::{Ended, EndsByOutcome, Failure, FailureCode, Status};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::store::{Attempts, Finish, Finished, HandOver, RemoteLeases, StoreError};
use raincheck_shared::telemetry::Chain;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::counters::Counters;
use super::tally::Tally;

/// Ends of one batch at most.
const BATCH: usize = 256;
/// Bytes of results of one batch at most; a larger result makes a batch of its own.
const BATCH_BYTES: usize = 8 << 20;
/// Pauses before the store is asked again grow from the one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An attempt that is no longer this worker's, once the store knows.
pub(crate) enum Leaving {
    /// It has ended.
    Ended(Finish),
    /// Somebody else will end it.
    HandedOver(HandOver),
}

impl Leaving {
    fn token(&self) -> Uuid {
        match self {
            Self::Ended(finish) => finish.fence.token,
            Self::HandedOver(one) => one.fence.token,
        }
    }

    fn is_end(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// What the lane works with.
pub(crate) struct Finisher {
    pub(crate) attempts: Arc<dyn Attempts>,
    pub(crate) remote_leases: Arc<dyn RemoteLeases>,
    pub(crate) wakeups: Arc<dyn Wakeups>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) ids: IdSource,
    /// Retries due sooner than this nudge the timers of the API.
    pub(crate) nudge_below: Duration,
}

impl Finisher {
    /// Serves until nobody can send any more. `finished` hears the token of each attempt whose end is settled.
    pub(crate) async fn run(
        self,
        mut ended: mpsc::UnboundedReceiver<Leaving>,
        finished: mpsc::UnboundedSender<Vec<Uuid>>,
    ) {
        let mut waiting = Vec::new();
        loop {
            if waiting.is_empty() && ended.recv_many(&mut waiting, BATCH).await == 0 {
                return;
            }
            while waiting.len() < BATCH
                && let Ok(more) = ended.try_recv()
            {
                waiting.push(more);
            }
            let rest = waiting.split_off(batch_end(&waiting));
            let batch = std::mem::replace(&mut waiting, rest);
            let tokens = batch.iter().map(Leaving::token).collect();
            let (mut ends, mut handed_over) = (Vec::new(), Vec::new());
            for leaving in batch {
                match leaving {
                    Leaving::Ended(finish) => ends.push(finish),
                    Leaving::HandedOver(one) => handed_over.push(one),
                }
            }
            // A batch is of one sort.
            if handed_over.is_empty() {
                self.record(ends).await;
            } else {
                self.hand_over(&handed_over).await;
            }
            let _ = finished.send(tokens);
        }
    }

    async fn hand_over(&self, batch: &[HandOver]) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.remote_leases.hand_over(batch).await {
                Ok(gone) => {
                    let others = batch.len() - gone.len();
                    tracing::debug!(jobs = gone.len(), others, "upstreams will end these themselves, or have already");
                    return;
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    tracing::debug!(error = %Chain(&error), "cannot hand jobs over, will try again");
                }
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "jobs cannot be handed over to their upstreams, failing them");
                    let message = format!("it cannot be handed over to its upstream: {}", Chain(&error));
                    let failed = |one: &HandOver| {
                        let why = Failure::new(FailureCode::HandlerError, &*message, false, one.fence.attempt);
                        let HandOver { fence, worker, lease_done, .. } = *one;
                        Finish { fence, worker, ended: Ended::Failed(why), lease_done }
                    };
                    return self.record(batch.iter().map(failed).collect()).await;
                }
            }
            tokio::time::sleep(pause.mul_f64(0.5 + self.ids.fraction())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn record(&self, mut batch: Vec<Finish>) {
        let mut pause = FIRST_PAUSE;
        let mut failed = false;
        loop {
            match self.attempts.finish(&batch).await {
                Ok(answers) => {
                    failpoint::passed(Step::Finished).await;
                    batch = self.settle(batch, answers);
                    if batch.is_empty() {
                        return;
                    }
                }
                Err(error) => {
                    // Said once for each outage.
                    if !std::mem::replace(&mut failed, true) {
                        tracing::warn!(error = %Chain(&error), finishes = batch.len(), "cannot record results, will try again");
                    }
                }
            }
            tokio::time::sleep(pause.mul_f64(0.5 + self.ids.fraction())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells the world what was recorded; answers what has to be sent again.
    fn settle(&self, batch: Vec<Finish>, answers: Vec<Result<Finished, StoreError>>) -> Vec<Finish> {
        let mut again = Vec::new();
        let mut changes = Vec::new();
        let mut soonest: Option<Duration> = None;
        for (finish, answer) in batch.into_iter().zip(answers) {
            match answer {
                Ok(Finished::Recorded(change) | Finished::Before(change)) => {
                    self.counters.finished();
                    self.tally.came_to(|ends| count(ends, change.status));
                    changes.push(change);
                    if let Ended::Retry { delay, .. } | Ended::Snoozed(delay) = finish.ended {
                        soonest = Some(soonest.map_or(delay, |s| s.min(delay)));
                    }
                }
                Ok(Finished::Fenced) => {
                    let fenced = self.counters.fenced();
                    self.tally.came_to(|ends| ends.fenced += 1);
                    tracing::debug!(
                        job.id = %finish.fence.job,
                        job.attempt = finish.fence.attempt,
                        worker.fenced_total = fenced,
                        "a late result was refused: the attempt is no longer this worker's"
                    );
                }
                Err(StoreError::Unavailable(_)) => again.push(finish),
                Err(error) => {
                    tracing::error!(job.id = %finish.fence.job, error = %Chain(&error), "a result cannot be kept, failing the job");
                    // Already the plain words of a failure: then the lease's end must settle it.
                    if !matches!(finish.ended, Ended::Failed(_)) {
                        let message = format!("the result cannot be kept: {}", Chain(&error));
                        let failure = Failure::new(FailureCode::HandlerError, message, false, finish.fence.attempt);
                        again.push(Finish { ended: Ended::Failed(failure), ..finish });
                    }
                }
            }
        }
        if !changes.is_empty() {
            self.wakeups.announce(Signal::Changed(changes));
        }
        if let Some(delay) = soonest.filter(|delay| *delay < self.nudge_below) {
            self.wakeups.announce(Signal::TimerSet(delay));
        }
        again
    }
}

fn count(ends: &mut EndsByOutcome, status: Status) {
    match status {
        Status::Succeeded => ends.succeeded += 1,
        Status::Failed => ends.failed += 1,
        Status::Retrying => ends.retrying += 1,
        Status::Canceled => ends.canceled += 1,
        // Waits again, or by now somebody has it again.
        Status::Queued | Status::InProgress | Status::Scheduled | Status::Expired => ends.released += 1,
    }
}

/// Where the first batch ends: it is of so many bytes, and of one sort, so that the order of a claim's ends is kept.
fn batch_end(waiting: &[Leaving]) -> usize {
    let mut bytes = 0;
    for (n, leaving) in waiting.iter().enumerate() {
        if let Leaving::Ended(Finish { ended: Ended::Succeeded(output), .. }) = leaving {
            bytes += output.content.body.weight();
        }
        if n > 0 && (bytes > BATCH_BYTES || leaving.is_end() != waiting[0].is_end()) {
            return n;
        }
    }
    waiting.len()
}
