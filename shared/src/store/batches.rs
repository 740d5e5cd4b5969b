//! What is asked about batches.

use std::time::Duration;

use async_trait::async_trait;

use super::{Accepted, Change, StoreError};
use crate::domain::{Batch, BatchId, Dispatch, Fingerprint, JobId, NewBatch, NewJob, TenantName};

/// What became of a batch that was submitted.
#[derive(Debug)]
pub enum AcceptedWhole {
    /// Its jobs are kept, or it was not worth keeping: one answer for each of its jobs. The batch itself is kept when one of
    /// the answers is [`Accepted::New`].
    New {
        /// In the order of the jobs.
        answers: Vec<Result<Accepted, StoreError>>,
        /// The dispatches now on record, for the relay to publish straight away.
        dispatches: Vec<Dispatch>,
    },
    /// Its key was known: this batch holds it, and nothing was kept.
    Known {
        /// The batch that came first.
        first: BatchId,
        /// What that request was.
        fingerprint: Fingerprint,
    },
}

/// The job that an item of a batch came to. That of a key which was known is one only if the same request had made it.
pub(super) fn job_of_item(new: &NewJob, answer: &Result<Accepted, StoreError>) -> Option<JobId> {
    match answer {
        Ok(Accepted::New { .. }) => Some(new.id),
        Ok(Accepted::Known { first, fingerprint }) => {
            new.idempotency.as_ref().is_some_and(|sent| sent.fingerprint == *fingerprint).then_some(*first)
        }
        Err(_) => None,
    }
}

/// How many jobs were made.
pub(super) fn made(answers: &[Result<Accepted, StoreError>]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Ok(Accepted::New { .. }))).count()
}

/// What a request to cancel a batch changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CanceledWhole {
    /// Jobs that are canceled now.
    pub canceled: Vec<Change>,
    /// Jobs that run: their workers will be told.
    pub asked: Vec<Change>,
}

/// Batches of jobs. A batch is counted in the commit that ends jobs of it; the one that ends its last job makes the delivery
/// of `batch.completed` as well, where somebody wants to hear of it.
#[async_trait]
pub trait Batches: Send + Sync {
    /// Keeps a batch with its jobs, dispatches, timers and keys in one durable commit; none of it when that fails. A job
    /// that cannot be kept is left out.
    async fn accept_batch(&self, batch: NewBatch) -> Result<AcceptedWhole, StoreError>;

    /// Reads a batch as it stands. `None`: there is none, or it is past its retention.
    async fn find_batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError>;

    /// The job of each item that was sent, in its order; `None` where none was kept. An item whose own key was known names a
    /// job that is no part of the batch. Empty: there is no such batch.
    async fn find_batch_items(&self, id: BatchId) -> Result<Vec<Option<JobId>>, StoreError>;

    /// Cancels what of a tenant's batch has not ended, in one commit. A timer revokes the leases of what runs after `grace`.
    async fn cancel_batch(
        &self,
        tenant: &TenantName,
        id: BatchId,
        reason: Option<&str>,
        grace: Duration,
    ) -> Result<CanceledWhole, StoreError>;
}
