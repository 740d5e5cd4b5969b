//! Keeps jobs, batched. What this answers is on disk.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::{Signal, Wakeups};
use raincheck_shared::config::StoreSettings;
use raincheck_shared::domain::{Band, Dispatch, NewJob, QueueName, Status, TenantName, Timestamp};
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::lifecycle::{Batcher, BatcherLimits, Clock, Nudge, Shutdown};
use raincheck_shared::store::{Accepted, Jobs, StoreError};
use tokio::sync::mpsc;

use super::Refusal;
use super::admission::Admission;
use super::store_calls::STORE_PATIENCE;
use crate::streak::Streak;

/// Bytes of input in one batch, so that a batch of large inputs is no longer under way than one of many small ones.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How long a commit may take before another is begun beside it. Where the disk is fast one lane is the cheapest, since its
/// batches are the largest.
const PATIENCE: Duration = Duration::from_millis(5);
/// A statement costs as much as twenty of its rows, so in a flood those who have just been answered are waited for.
const GATHERING: Duration = Duration::from_millis(5);

/// The writers. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Intake(Batcher<NewJob, Result<Accepted, StoreError>>, Arc<Intaker>);

/// What a batch needs besides itself.
struct Intaker {
    jobs: Arc<dyn Jobs>,
    wakeups: Arc<dyn Wakeups>,
    admission: Admission,
    relay: mpsc::Sender<Vec<Dispatch>>,
    parked: Nudge,
    keeping: Streak,
    clock: Arc<dyn Clock>,
}

impl Intake {
    /// Starts the lanes: several for Postgres, which can commit them side by side; one for SQLite, which has one writer.
    pub(crate) fn start(
        store: &StoreSettings,
        jobs: Arc<dyn Jobs>,
        wakeups: Arc<dyn Wakeups>,
        admission: Admission,
        (relay, parked, keeping): (mpsc::Sender<Vec<Dispatch>>, Nudge, Streak),
        clock: Arc<dyn Clock>,
        shutdown: &Shutdown,
    ) -> Self {
        let lanes = match store {
            StoreSettings::Postgres { .. } => 4,
            StoreSettings::Sqlite { .. } => 1,
        };
        let limits = BatcherLimits {
            lanes,
            batch: 256,
            weight: BATCH_BYTES,
            waiting: 10_000,
            patience: PATIENCE,
            gathering: GATHERING,
        };
        let intaker = Arc::new(Intaker { jobs, wakeups, admission, relay, parked, keeping, clock });
        let accepting = Arc::clone(&intaker);
        let batcher = Batcher::start(limits, shutdown, move |batch| {
            let intaker = Arc::clone(&accepting);
            async move { intaker.accept(batch).await }
        });
        Self(batcher, intaker)
    }

    /// Does for jobs that were kept in another way what is done for all that are: hands their dispatches to the relay, counts
    /// them, and sees that their timers are heard of.
    pub(crate) fn kept<'j>(
        &self,
        jobs: impl Iterator<Item = &'j NewJob>,
        answers: &[Result<Accepted, StoreError>],
        dispatches: Vec<Dispatch>,
    ) {
        let facts: Vec<_> = jobs.map(Fact::of).collect();
        self.1.spread(&facts, answers, dispatches);
    }

    /// Keeps one job. After [`Refusal::StoreSilent`] nobody knows whether it was kept.
    pub(crate) async fn accept(&self, job: NewJob) -> Result<Accepted, Refusal> {
        let weight = job.input.body.weight();
        #[cfg(feature = "proof")]
        if raincheck_shared::lifecycle::Mutation::Early202.is_on() {
            return Ok(self.answer_early(job, weight));
        }
        let answer = tokio::time::timeout(STORE_PATIENCE, self.0.submit(job, weight)).await;
        Ok(answer.map_err(|_| Refusal::StoreSilent(STORE_PATIENCE))???)
    }

    /// The mutation: says that it is kept, and then keeps it.
    #[cfg(feature = "proof")]
    #[expect(clippy::disallowed_methods, reason = "a broken promise is nobody's task")]
    fn answer_early(&self, job: NewJob, weight: usize) -> Accepted {
        let status = if job.run_at.is_some() { Status::Scheduled } else { Status::Queued };
        let (id, intake) = (job.id, self.clone());
        tokio::spawn(async move {
            let _ = intake.0.submit(job, weight).await;
        });
        Accepted::New { id, status }
    }
}

impl Intaker {
    async fn accept(&self, batch: Vec<NewJob>) -> Vec<Result<Accepted, StoreError>> {
        let facts: Vec<_> = batch.iter().map(Fact::of).collect();
        let accepted = self.jobs.accept(batch).await;
        failpoint::passed(Step::Committed).await;
        self.spread(&facts, &accepted.answers, accepted.dispatches);
        match accepted.answers.first() {
            // An outage is that of the whole batch.
            Some(Err(error @ StoreError::Unavailable(_))) => self.keeping.failed(error, &*self.clock),
            _ => self.keeping.went_well(),
        }
        accepted.answers
    }

    fn spread(&self, facts: &[Fact], answers: &[Result<Accepted, StoreError>], dispatches: Vec<Dispatch>) {
        // A full channel is no loss: the relay finds what nobody handed to it in the store.
        if !dispatches.is_empty() && self.relay.try_send(dispatches).is_err() {
            tracing::debug!("the relay is busy, it will find these dispatches in the store");
        }
        let mut first_due: Option<Timestamp> = None;
        let mut any_parked = false;
        for (answer, fact) in answers.iter().zip(facts) {
            if let Ok(Accepted::New { status, .. }) = answer {
                if *status == Status::Queued {
                    self.admission.accepted(&fact.queue, &fact.tenant, fact.band);
                    any_parked |= fact.needs_permits;
                }
                first_due = [first_due, fact.timer].into_iter().flatten().min();
            }
        }
        if any_parked {
            self.parked.nudge();
        }
        if let Some(due) = first_due {
            let within = Duration::try_from(due - self.clock.now()).unwrap_or_default();
            self.wakeups.announce(Signal::TimerSet(within));
        }
    }
}

/// What is to be known of a job once it is kept.
struct Fact {
    queue: QueueName,
    tenant: TenantName,
    band: Band,
    needs_permits: bool,
    timer: Option<Timestamp>,
}

impl Fact {
    fn of(job: &NewJob) -> Self {
        let (queue, tenant) = (job.queue.clone(), job.tenant.clone());
        Self { queue, tenant, band: job.band(), needs_permits: job.line.is_some(), timer: first_timer(job) }
    }
}

/// When the first thing happens to the job that a timer must see to.
fn first_timer(job: &NewJob) -> Option<Timestamp> {
    [job.run_at, job.expires_unstarted_at()].into_iter().flatten().min()
}
