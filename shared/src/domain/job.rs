//! A job as it can be read back: all of it but its input.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::failure::{FailedAttempt, Failure};
use super::ids::{BatchId, JobId, Timestamp, Version, WorkerId};
use super::names::{KindName, QueueName, TenantName};
use super::status::Status;
use super::webhook::JobWebhook;

/// How far a handler says it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 100.
    pub percent: f64,
    /// What it is doing.
    pub message: Option<String>,
}

/// A cancel that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Why, in the client's words.
    pub reason: Option<String>,
    /// When the handler was known to have stopped; `None` on a canceled job: we could not prove that it did.
    pub acknowledged_at: Option<Timestamp>,
}

/// What a succeeded job made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// A media type.
    pub content_type: String,
    /// Bytes in all.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
    /// The bytes themselves, when they are few enough to be read along with the status.
    pub inline: Option<Bytes>,
}

/// A job, without its input.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id, which carries `created_at`.
    pub id: JobId,
    /// Whose it is.
    pub tenant: TenantName,
    /// What sort of work.
    pub kind: KindName,
    /// Where it waits or waited.
    pub queue: QueueName,
    /// 0 to 9.
    pub priority: u8,
    /// Rises by one at each visible change.
    pub version: Version,
    /// Where it stands.
    pub status: Status,
    /// Attempts that count so far, the running one included.
    pub attempt: i32,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// Not before then, as asked.
    pub run_at: Option<Timestamp>,
    /// When the latest attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended; set exactly when the status is final.
    pub finished_at: Option<Timestamp>,
    /// When the next attempt is due, while `retrying`.
    pub next_attempt_at: Option<Timestamp>,
    /// When it will be forgotten, once it has ended.
    pub expires_at: Option<Timestamp>,
    /// When somebody had its input, output and logs erased.
    pub erased_at: Option<Timestamp>,
    /// No attempt starts after this.
    pub deadline: Option<Timestamp>,
    /// How long one attempt may run.
    pub run_timeout: Duration,
    /// How long the ended job is kept.
    pub retention: Duration,
    /// When the worker that runs it last showed that it lives; `None` while none does.
    pub heartbeat_at: Option<Timestamp>,
    /// The incarnation that runs it, or ran it last.
    pub worker: Option<WorkerId>,
    /// How far the handler says it is.
    pub progress: Option<Progress>,
    /// A cancel, if one was asked for.
    pub cancel: Option<Cancel>,
    /// What it made, once `succeeded`.
    pub result: Option<JobResult>,
    /// Why it failed, once `failed`.
    pub error: Option<Failure>,
    /// Attempts that failed, oldest first.
    pub attempts: Vec<FailedAttempt>,
    /// The client's labels as a JSON object.
    pub metadata: Option<String>,
    /// The client's tags.
    pub tags: Vec<String>,
    /// The client's key.
    pub idempotency_key: Option<String>,
    /// The client's key for limits: jobs of a kind with the same one share them.
    pub concurrency_key: Option<String>,
    /// W3C trace context, as it came.
    pub traceparent: Option<String>,
    /// The job that this one repeats.
    pub retry_of: Option<JobId>,
    /// The batch that it belongs to.
    pub batch: Option<BatchId>,
    /// Whom its events are told, and what became of that.
    pub webhook: Option<JobWebhook>,
}
