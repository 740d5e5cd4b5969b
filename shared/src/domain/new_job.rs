//! A request that was found good, about to be kept.

use std::time::Duration;

use super::blob::Content;
use super::dispatch::Band;
use super::idempotency_key::{Fingerprint, IdempotencyKey};
use super::ids::{BatchId, JobId, Timestamp};
use super::names::{KindName, QueueName, TenantName};
use super::webhook::Webhook;

/// A key and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: IdempotencyKey,
    /// What the request was.
    pub fingerprint: Fingerprint,
}

/// Everything the store keeps of a new job.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Made by the API, or by the client that puts it; its time is the job's `created_at`.
    pub id: JobId,
    /// Whose it is.
    pub tenant: TenantName,
    /// Selects the handler.
    pub kind: KindName,
    /// Where it will wait.
    pub queue: QueueName,
    /// 0 (lowest) to 9.
    pub priority: u8,
    /// Whether it waits in [`Band::Express`], whatever its priority.
    pub express: bool,
    /// The input.
    pub input: Content,
    /// Not before then; `None` or a past instant: at once.
    pub run_at: Option<Timestamp>,
    /// It must have *started* by then, or expires.
    pub start_by: Option<Timestamp>,
    /// No attempt starts after this.
    pub deadline: Option<Timestamp>,
    /// How long one attempt may run.
    pub run_timeout: Duration,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// How long the ended job is kept.
    pub retention: Duration,
    /// How long the input is kept after the end; `None`: as long as the job.
    pub input_retention: Option<Duration>,
    /// The client's labels, a JSON object of strings as text; `None` when empty.
    pub metadata: Option<String>,
    /// The client's tags.
    pub tags: Vec<String>,
    /// The client's key for limits: jobs of a kind with the same one share them.
    pub concurrency_key: Option<String>,
    /// It needs permits to start, and this is the line in which it waits for them; `None`: it needs none.
    pub line: Option<String>,
    /// Present when the client sent a key.
    pub idempotency: Option<Idempotency>,
    /// W3C trace context, as it came.
    pub traceparent: Option<String>,
    /// The job that this one repeats.
    pub retry_of: Option<JobId>,
    /// The batch that it belongs to.
    pub batch: Option<BatchId>,
    /// Whom its events are told.
    pub webhook: Option<Webhook>,
    /// How many ids of this kind may share a dispatch (see [`super::Dispatch`]); at least 1.
    pub dispatch_width: usize,
}

/// A job with an idempotency key is kept at least so long after its end, and its key with it.
const KEPT_WITH_KEY: Duration = Duration::from_hours(24);

impl NewJob {
    /// How long the input is kept after the end, where it is to go before its job.
    pub fn input_goes_after(&self) -> Option<Duration> {
        let job_goes_after =
            if self.idempotency.is_some() { self.retention.max(KEPT_WITH_KEY) } else { self.retention };
        self.input_retention.filter(|kept| *kept < job_goes_after)
    }

    /// The band that it waits in.
    pub fn band(&self) -> Band {
        Band::of(self.priority, self.express)
    }

    /// The earlier of `start_by` and `deadline`: when an unstarted job expires.
    pub fn expires_unstarted_at(&self) -> Option<Timestamp> {
        match (self.start_by, self.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
