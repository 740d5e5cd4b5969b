//! Keeps jobs, batched. What this answers is on disk.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::config::StoreSettings;
#[cfg(feature = "proof")]
use raincheck_shared::domain::Status;
use raincheck_shared::domain::{Dispatch, NewJob};
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::lifecycle::{Batcher, BatcherLimits, Shutdown};
use raincheck_shared::store::{Accepted, Jobs, StoreError};

use super::Refusal;
use super::after_commit::{AfterCommit, Fact};
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
    after: AfterCommit,
    keeping: Streak,
}

impl Intake {
    /// Starts the lanes: several for Postgres, which can commit them side by side; one for SQLite, which has one writer.
    pub(crate) fn start(
        store: &StoreSettings,
        jobs: Arc<dyn Jobs>,
        after: AfterCommit,
        keeping: Streak,
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
        let intaker = Arc::new(Intaker { jobs, after, keeping });
        let accepting = Arc::clone(&intaker);
        let batcher = Batcher::start(limits, shutdown, move |batch| {
            let intaker = Arc::clone(&accepting);
            async move { intaker.accept(batch).await }
        });
        Self(batcher, intaker)
    }

    /// Does for jobs that were kept in another way what is done for all that are.
    pub(crate) fn kept<'j>(
        &self,
        jobs: impl Iterator<Item = &'j NewJob>,
        answers: &[Result<Accepted, StoreError>],
        dispatches: Vec<Dispatch>,
    ) {
        let facts: Vec<_> = jobs.map(Fact::of).collect();
        self.1.after.spread(&facts, answers, dispatches);
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
        match accepted.answers.first() {
            // An outage is that of the whole batch.
            Some(Err(error @ StoreError::Unavailable(_))) => self.keeping.failed(error, &*self.after.clock),
            _ => self.keeping.went_well(),
        }
        self.after.spread(&facts, &accepted.answers, accepted.dispatches);
        accepted.answers
    }
}
