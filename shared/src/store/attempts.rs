//! What a worker asks of a store on a job's way.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Change, StoreError};
use crate::domain::{
    Content, Dispatch, DispatchId, Ended, Fence, JobId, KindName, LeaseId, Progress, QueueName, Status, TenantName,
    Timestamp, WorkerId,
};

/// What a worker wants to take: messages it received, or (without any) what waits in the store.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who takes.
    pub worker: WorkerId,
    /// The record of what this claim took.
    pub lease: LeaseId,
    /// What the broker handed over.
    pub dispatches: Vec<Dispatch>,
}

/// A job that is now this worker's to run.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedJob {
    /// What to show when it ends.
    pub fence: Fence,
    /// The claim's record.
    pub lease: LeaseId,
    /// Whose it is.
    pub tenant: TenantName,
    /// Selects the handler.
    pub kind: KindName,
    /// Where it waited.
    pub queue: QueueName,
    /// The version the claim gave it.
    pub version: i32,
    /// The input.
    pub input: Content,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// How long this attempt may run.
    pub run_timeout: Duration,
    /// No further attempt starts after this.
    pub deadline: Option<Timestamp>,
    /// Times that its worker died under it.
    pub crashes: i32,
    /// W3C trace context, as it came.
    pub traceparent: Option<String>,
}

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which attempt; without the right token nothing is recorded.
    pub fence: Fence,
    /// Who ran it.
    pub worker: WorkerId,
    /// How it ended.
    pub ended: Ended,
    /// Set on the last job of a claim to end: its record goes in the same commit.
    pub lease_done: Option<LeaseId>,
}

/// What became of a finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// Recorded, and durable.
    Recorded(Change),
    /// An end was recorded before, for the same fence: this one, sent again, or another. Nothing was recorded now.
    Before(Change),
    /// The attempt was no longer this worker's: nothing was recorded. A normal outcome after a rescue.
    Fenced,
}

impl Finished {
    /// The end that is recorded, now or since before.
    pub const fn change(&self) -> Option<Change> {
        match self {
            Self::Recorded(change) | Self::Before(change) => Some(*change),
            Self::Fenced => None,
        }
    }
}

/// The attempt that a token stands for: running, or ended and not yet followed by another.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundAttempt {
    /// What ends it.
    pub fence: Fence,
    /// The incarnation that runs it, or ran it.
    pub worker: WorkerId,
    /// Whose job it is.
    pub tenant: TenantName,
    /// What sort of work.
    pub kind: KindName,
    /// What has become of it.
    pub status: Status,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// No further attempt starts after this.
    pub deadline: Option<Timestamp>,
    /// SHA-256 of the result, once it has one.
    pub result_digest: Option<[u8; 32]>,
}

/// How far a running job is.
#[derive(Debug, Clone)]
pub struct ProgressReport {
    /// Which attempt.
    pub fence: Fence,
    /// How far.
    pub progress: Progress,
}

/// The worker's side of the store.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Takes the jobs of the given dispatches that still wait: `queued → in_progress`, attempt + 1, a fresh token.
    /// Clears the dispatches, and records the claim under the worker's lease, in the same durable commit. Jobs that
    /// somebody else has taken are left out.
    ///
    /// A worker that was declared dead gets [`StoreError::Rejected`]: it must take a new incarnation.
    async fn claim(&self, claim: Claim) -> Result<Vec<ClaimedJob>, StoreError>;

    /// The database fallback: takes what waits longest in `queues` for any of `kinds`, bands by their shares,
    /// dispatches of about `limit` jobs in all, without a broker. `claim.dispatches` is empty.
    async fn claim_waiting(
        &self,
        claim: Claim,
        queues: &[QueueName],
        kinds: &[KindName],
        limit: usize,
    ) -> Result<Vec<ClaimedJob>, StoreError>;

    /// Records how attempts ended, durably, in one commit: status, result, history, timers of retries, dispatches of
    /// released jobs. Answers in the order of `batch`.
    ///
    /// On [`StoreError::Unavailable`] nothing is known: send the same batch again; what was recorded the first time
    /// answers [`Finished::Before`] then, since a recorded end keeps its token.
    async fn finish(&self, batch: &[Finish]) -> Result<Vec<Result<Finished, StoreError>>, StoreError>;

    /// Finds the attempt at a job that runs under this token, or that ended under it and was followed by no other. Without
    /// the right token there is none.
    async fn find_attempt(&self, job: JobId, token: Uuid) -> Result<Option<FoundAttempt>, StoreError>;

    /// Records progress. Fenced reports are left out of the answer. Waits for the disk: each report raises a version.
    async fn report_progress(&self, batch: &[ProgressReport]) -> Result<Vec<Change>, StoreError>;

    /// Forgets claims whose answer never arrived or came to nothing: every lease of `worker` but `keep`, and gives the
    /// jobs in them back to the queue, uncounted, unless they run under one of the fences that it holds (`held`). The job
    /// alone does not say: the end of an earlier attempt may still be on its way when the job was claimed again.
    async fn drop_stray_leases(
        &self,
        worker: WorkerId,
        keep: &[LeaseId],
        held: &[Fence],
    ) -> Result<Vec<Change>, StoreError>;
}

/// Numbers of a claim's dispatches.
pub(crate) fn dispatch_ids(claim: &Claim) -> Vec<DispatchId> {
    claim.dispatches.iter().map(|d| d.id).collect()
}

/// Every job of a claim's dispatches, sorted: rows are locked in id order, so that two claims never deadlock.
pub(crate) fn job_ids(claim: &Claim) -> Vec<JobId> {
    let mut ids: Vec<JobId> = claim.dispatches.iter().flat_map(|d| d.jobs.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
