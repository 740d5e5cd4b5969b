//! The Job, exactly as the contract shows it. What does not exist yet is `null`, so that clients can rely on the shape.

use raincheck_shared::domain::{
    DeliverySummary, FailedAttempt, Failure, IdempotencyKey, Job, JobResult, Progress, Timestamp,
};
use serde::Serialize;
use serde_json::value::RawValue;
use time::serde::rfc3339;

use super::inline_value::InlineValue;
use super::links::{JobLinks, LinkBase};
use super::{digest_field, poll_after};
use crate::engine::Forecast;

/// A whole job.
#[derive(Debug, Serialize)]
pub(crate) struct JobView<'a> {
    id: String,
    kind: &'a str,
    queue: &'a str,
    version: i32,
    status: &'static str,
    done: bool,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    run_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    started_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    finished_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    heartbeat_at: Option<Timestamp>,
    attempt: i32,
    max_attempts: i32,
    #[serde(with = "rfc3339::option")]
    next_attempt_at: Option<Timestamp>,
    queue_position: Option<u64>,
    estimate: Option<EstimateView<'a>>,
    progress: Option<&'a Progress>,
    poll_after_ms: Option<u128>,
    cancel: Option<CancelView<'a>>,
    result: Option<ResultView<'a>>,
    error: Option<&'a Failure>,
    attempts: &'a [FailedAttempt],
    #[serde(with = "rfc3339::option")]
    expires_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    erased_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    deadline: Option<Timestamp>,
    webhook: Option<WebhookView>,
    idempotency_key: Option<&'a str>,
    concurrency_key: Option<&'a str>,
    retry_of: Option<String>,
    batch_id: Option<String>,
    metadata: &'a RawValue,
    tags: &'a [String],
    trace_id: Option<&'a str>,
    links: JobLinks,
}

#[derive(Debug, Serialize)]
struct EstimateView<'a> {
    #[serde(with = "rfc3339::option")]
    start_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    finish_at: Option<Timestamp>,
    basis: &'a str,
}

#[derive(Debug, Serialize)]
struct CancelView<'a> {
    #[serde(with = "rfc3339")]
    requested_at: Timestamp,
    reason: Option<&'a str>,
    #[serde(with = "rfc3339::option")]
    acknowledged_at: Option<Timestamp>,
}

/// What became of what the client wishes to be told.
/// Where a job's latest delivery stands, or a batch's only one.
#[derive(Debug, Serialize)]
pub(super) struct WebhookView {
    state: &'static str,
    attempts: i32,
    last_status: Option<u16>,
}

impl WebhookView {
    /// `ended_untold`: it has ended, so that nothing is to come any more.
    pub(super) fn new(summary: Option<DeliverySummary>, ended_untold: bool) -> Self {
        match summary {
            Some(summary) => {
                Self { state: summary.state.as_str(), attempts: summary.attempts, last_status: summary.last_status }
            }
            // Ended in a way that nobody wished to hear of.
            None if ended_untold => Self { state: "none", attempts: 0, last_status: None },
            None => Self { state: "pending", attempts: 0, last_status: None },
        }
    }
}

/// Either `value` or `url`: what is large or binary is read from its own resource.
#[derive(Debug, Serialize)]
struct ResultView<'a> {
    content_type: &'a str,
    size: u64,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<InlineValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl<'a> JobView<'a> {
    /// A job as it stands at `now`. `random` in `0.0..1.0` spreads the polls.
    pub(crate) fn new(job: &'a Job, forecast: &'a Forecast, links: &LinkBase, now: Timestamp, random: f64) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind.as_str(),
            queue: job.queue.as_str(),
            version: job.version,
            status: job.status.as_str(),
            done: job.status.is_done(),
            created_at: job.id.created_at(),
            run_at: job.run_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            heartbeat_at: job.heartbeat_at,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            next_attempt_at: job.next_attempt_at,
            queue_position: forecast.queue_position,
            estimate: forecast.estimate.as_ref().map(|estimate| EstimateView {
                start_at: estimate.start_at,
                finish_at: estimate.finish_at,
                basis: &estimate.basis,
            }),
            progress: job.progress.as_ref(),
            poll_after_ms: poll_after(job, forecast, now, random).map(|wait| wait.as_millis()),
            cancel: job.cancel.as_ref().map(|cancel| CancelView {
                requested_at: cancel.requested_at,
                reason: cancel.reason.as_deref(),
                acknowledged_at: cancel.acknowledged_at,
            }),
            result: job.result.as_ref().map(|result| ResultView::new(result, || links.result(job.id))),
            error: job.error.as_ref(),
            attempts: &job.attempts,
            expires_at: job.expires_at,
            erased_at: job.erased_at,
            deadline: job.deadline,
            webhook: job.webhook.as_ref().map(|webhook| WebhookView::new(webhook.summary, job.status.is_done())),
            idempotency_key: shown_key(job),
            concurrency_key: job.concurrency_key.as_deref(),
            retry_of: job.retry_of.map(|id| id.to_string()),
            batch_id: job.batch.map(|id| id.to_string()),
            metadata: metadata(job.metadata.as_deref()),
            tags: &job.tags,
            trace_id: trace_id(job),
            links: links.all(job.id),
        }
    }
}

impl<'a> ResultView<'a> {
    fn new(result: &'a JobResult, url: impl FnOnce() -> String) -> Self {
        let value = result.inline.as_ref().and_then(|bytes| InlineValue::of(&result.content_type, bytes));
        Self {
            content_type: &result.content_type,
            size: result.size,
            digest: digest_field(&result.digest),
            url: value.is_none().then(url),
            value,
        }
    }
}

/// Metadata as it is kept.
pub(super) fn metadata(text: Option<&str>) -> &RawValue {
    serde_json::from_str(text.unwrap_or("{}")).unwrap_or(RawValue::NULL)
}

fn shown_key(job: &Job) -> Option<&str> {
    job.idempotency_key.as_deref().and_then(IdempotencyKey::shown)
}

fn trace_id(job: &Job) -> Option<&str> {
    job.traceparent.as_deref()?.split('-').nth(1)
}

/// A job in a list.
#[derive(Debug, Serialize)]
pub(crate) struct JobSummary<'a> {
    id: String,
    kind: &'a str,
    queue: &'a str,
    version: i32,
    status: &'static str,
    done: bool,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    run_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    started_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    finished_at: Option<Timestamp>,
    attempt: i32,
    max_attempts: i32,
    progress: Option<&'a Progress>,
    error: Option<&'a Failure>,
    #[serde(with = "rfc3339::option")]
    expires_at: Option<Timestamp>,
    idempotency_key: Option<&'a str>,
    concurrency_key: Option<&'a str>,
    retry_of: Option<String>,
    batch_id: Option<String>,
    metadata: &'a RawValue,
    tags: &'a [String],
    links: JobLinks,
}

impl<'a> JobSummary<'a> {
    /// As much of a job as fits in a line.
    pub(crate) fn new(job: &'a Job, links: &LinkBase) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind.as_str(),
            queue: job.queue.as_str(),
            version: job.version,
            status: job.status.as_str(),
            done: job.status.is_done(),
            created_at: job.id.created_at(),
            run_at: job.run_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            progress: job.progress.as_ref(),
            error: job.error.as_ref(),
            expires_at: job.expires_at,
            idempotency_key: shown_key(job),
            concurrency_key: job.concurrency_key.as_deref(),
            retry_of: job.retry_of.map(|id| id.to_string()),
            batch_id: job.batch.map(|id| id.to_string()),
            metadata: metadata(job.metadata.as_deref()),
            tags: &job.tags,
            links: links.all(job.id),
        }
    }
}
