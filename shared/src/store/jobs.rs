//! What the HTTP API asks of a store.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Batches, Change, StoreError};
use crate::domain::{
    BatchId, Body, Content, Dispatch, FailureCode, Fingerprint, Job, JobId, KindName, NewJob, QueueName, Status,
    TenantName, Timestamp, Version,
};

/// What became of one submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is kept, with this status (`queued` or `scheduled`) at version 1.
    New {
        /// The job's id, the one it was submitted with.
        id: JobId,
        /// `queued`, or `scheduled` when its `run_at` lies ahead of the database's clock.
        status: Status,
    },
    /// Its idempotency key was known: this job holds it, and nothing was kept.
    Known {
        /// The job that came first.
        first: JobId,
        /// What the first request was, to compare with.
        fingerprint: Fingerprint,
    },
}

/// What became of a batch of submissions.
#[derive(Debug)]
pub struct AcceptedBatch {
    /// One answer for each submission, in their order.
    pub answers: Vec<Result<Accepted, StoreError>>,
    /// The dispatches now on record, for the relay to publish straight away.
    pub dispatches: Vec<Dispatch>,
}

/// As little of a job as tells whether it moved.
pub type Glimpse = Change;

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResult {
    /// A media type.
    pub content_type: String,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
    /// The bytes as the handler made them, or where they are.
    pub body: Body,
}

/// What became of a request to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canceled {
    /// It is canceled now.
    Now(Change),
    /// It was canceled before.
    Already,
    /// It runs: its worker will be told (again, when it was asked before).
    Asked(Change),
    /// It has ended otherwise.
    TooLate,
    /// There is no such job.
    Unknown,
}

/// Which jobs to list. An empty filter lists all of the default tenant's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only this tenant's.
    pub tenant: TenantName,
    /// Only these statuses; empty: any.
    pub statuses: Vec<Status>,
    /// Only this kind.
    pub kind: Option<KindName>,
    /// Only this queue.
    pub queue: Option<QueueName>,
    /// Only with all of these tags.
    pub tags: Vec<String>,
    /// Only with all of these pairs of metadata.
    pub metadata: BTreeMap<String, String>,
    /// Only jobs of this batch.
    pub batch: Option<BatchId>,
    /// Only the job that holds this key.
    pub idempotency_key: Option<String>,
    /// Only those that failed with this code.
    pub error_code: Option<FailureCode>,
    /// Only those created then or later, to the millisecond.
    pub since: Option<Timestamp>,
    /// Only those created before then, to the millisecond.
    pub until: Option<Timestamp>,
    /// Only those that no other job is known to repeat; means nothing with a batch or a key.
    pub not_retried: bool,
}

impl JobFilter {
    /// Whether a job that was found in another way belongs to the list.
    pub(crate) fn takes(&self, job: &Job) -> bool {
        let pairs = || job.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        job.tenant == self.tenant
            && self.batch.is_none_or(|batch| job.batch == Some(batch))
            && (self.statuses.is_empty() || self.statuses.contains(&job.status))
            && self.kind.as_ref().is_none_or(|kind| *kind == job.kind)
            && self.queue.as_ref().is_none_or(|queue| *queue == job.queue)
            && self.idempotency_key.as_deref().is_none_or(|key| job.idempotency_key.as_deref() == Some(key))
            && self.error_code.is_none_or(|code| job.error.as_ref().is_some_and(|error| error.code == code))
            && self.since.is_none_or(|since| job.id >= JobId::least_of(since))
            && self.until.is_none_or(|until| job.id < JobId::least_of(until))
            && self.tags.iter().all(|tag| job.tags.contains(tag))
            && (self.metadata.is_empty() || {
                let pairs: BTreeMap<String, String> = pairs();
                self.metadata.iter().all(|(name, value)| pairs.get(name) == Some(value))
            })
    }
}

/// Ids of a batch that are read at once.
const STEP_OF_BATCH: usize = 200;

/// A page of the jobs of a batch, which knows them: nobody has to look for them.
pub(crate) async fn page_of_batch<S: Jobs + Batches>(
    store: &S,
    batch: BatchId,
    filter: &JobFilter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<JobPage, StoreError> {
    let items = store.find_batch_items(batch).await?;
    let mut ids: Vec<JobId> = items.into_iter().flatten().filter(|id| after.is_none_or(|after| *id < after)).collect();
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    ids.dedup();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut jobs: Vec<Job> = Vec::new();
    for step in ids.chunks(STEP_OF_BATCH) {
        let mut found = store.find_jobs(step, 0).await?;
        found.retain(|job| filter.takes(job));
        found.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
        jobs.extend(found);
        if jobs.len() > limit {
            break;
        }
    }
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    Ok(JobPage { next: jobs.last().filter(|_| more).map(|job| job.id), jobs })
}

/// Pairs of metadata as a JSON object, which is how they are kept.
pub(crate) fn metadata_text(pairs: &BTreeMap<String, String>) -> String {
    serde_json::json!(pairs).to_string()
}

/// Where a page starts: after (older than) this job.
pub type Cursor = JobId;

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPage {
    /// The jobs, without inline results.
    pub jobs: Vec<Job>,
    /// Where the next page starts; `None`: there is none. A page may hold fewer jobs than asked for, even none,
    /// and still have a next one: a rare filter is answered in bounded steps, never by one endless scan.
    pub next: Option<Cursor>,
}

/// The API's side of the store.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Keeps a batch: jobs, dispatches or timers, and idempotency keys, in one durable commit. When this returns
    /// [`Accepted::New`], the job survives any crash. A row that cannot be kept fails alone. Two equal keys in a
    /// batch: the first (in order) is kept, the second is [`Accepted::Known`].
    ///
    /// Jobs of one tenant, kind, queue and band share dispatches of at most `dispatch_width` ids. An idempotency key is its
    /// tenant's: the same key of another is another.
    async fn accept(&self, batch: Vec<NewJob>) -> AcceptedBatch;

    /// Reads jobs by id, in any order, leaving out those that do not exist or whose `expires_at` has passed.
    /// Results of JSON or text up to `inline_limit` bytes come along.
    async fn find_jobs(&self, ids: &[JobId], inline_limit: u64) -> Result<Vec<Job>, StoreError>;

    /// Reads only what tells whether jobs moved: the fall-back of those who wait and heard no wake-up.
    async fn find_glimpses(&self, ids: &[JobId]) -> Result<Vec<Glimpse>, StoreError>;

    /// Reads a succeeded job's result. `None`: no such job, or it has no result.
    async fn find_result(&self, id: JobId) -> Result<Option<StoredResult>, StoreError>;

    /// Reads a job's input, or where it is, to submit it once more. `None`: no such job, or its input is gone.
    async fn find_input(&self, id: JobId) -> Result<Option<Content>, StoreError>;

    /// Which job holds a tenant's idempotency key, and for what request.
    async fn find_key_holder(&self, tenant: &TenantName, key: &str)
    -> Result<Option<(JobId, Fingerprint)>, StoreError>;

    /// Lists jobs, newest first, `limit` at most, starting after `after`.
    async fn list_jobs(&self, filter: &JobFilter, after: Option<Cursor>, limit: u32) -> Result<JobPage, StoreError>;

    /// Notes that a job repeats another. May be lost in a crash: then the other looks as if nobody had.
    async fn note_retried(&self, old: JobId, new: JobId) -> Result<(), StoreError>;

    /// Cancels a tenant's job that waits, or records that its running handler is to be asked. In the second case a timer
    /// revokes the lease after `grace`. Another tenant's job is [`Canceled::Unknown`].
    async fn cancel_job(
        &self,
        tenant: &TenantName,
        id: JobId,
        reason: Option<&str>,
        grace: std::time::Duration,
    ) -> Result<Canceled, StoreError>;
}

/// Whether a client that has seen `seen` has missed something.
pub fn moved_past(glimpse: &Glimpse, seen: Option<Version>) -> bool {
    match seen {
        Some(version) => glimpse.version > version,
        None => glimpse.status.is_done(),
    }
}
