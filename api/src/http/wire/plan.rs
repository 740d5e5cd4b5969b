//! What would be accepted: a submission with everything that it left out.

use raincheck_shared::config::format_duration;
use raincheck_shared::domain::{NewJob, Timestamp, Webhook};
use serde::Serialize;
use serde_json::value::RawValue;
use time::serde::rfc3339;

use super::job::metadata;

/// The answer to `validate_only`.
#[derive(Debug, Serialize)]
pub(crate) struct PlanView<'a> {
    valid: bool,
    kind: &'a str,
    queue: &'a str,
    priority: u8,
    #[serde(with = "rfc3339::option")]
    run_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    start_by: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    deadline: Option<Timestamp>,
    timeouts: Timeouts,
    retention: Retention,
    max_attempts: i32,
    retry_of: Option<String>,
    metadata: &'a RawValue,
    tags: &'a [String],
    concurrency_key: Option<&'a str>,
    webhook: Option<Told<'a>>,
    input: Input<'a>,
}

#[derive(Debug, Serialize)]
struct Timeouts {
    run: String,
}

#[derive(Debug, Serialize)]
struct Retention {
    input: String,
    result: String,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    url: &'a str,
    events: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Input<'a> {
    content_type: &'a str,
    size: u64,
}

impl<'a> PlanView<'a> {
    /// What would be kept.
    pub(crate) fn new(job: &'a NewJob) -> Self {
        Self {
            valid: true,
            kind: job.kind.as_str(),
            queue: job.queue.as_str(),
            priority: job.priority,
            run_at: job.run_at,
            start_by: job.start_by,
            deadline: job.deadline,
            timeouts: Timeouts { run: format_duration(job.run_timeout) },
            retention: Retention {
                // It goes with its job at the latest.
                input: format_duration(job.input_goes_after().unwrap_or(job.retention)),
                result: format_duration(job.retention),
            },
            max_attempts: job.max_attempts,
            retry_of: job.retry_of.map(|id| id.to_string()),
            metadata: metadata(job.metadata.as_deref()),
            tags: &job.tags,
            concurrency_key: job.concurrency_key.as_deref(),
            webhook: job.webhook.as_ref().map(Told::new),
            input: Input { content_type: &job.input.content_type, size: job.input.body.size() },
        }
    }
}

impl<'a> Told<'a> {
    fn new(webhook: &'a Webhook) -> Self {
        Self { url: webhook.url.as_str(), events: webhook.events.iter().map(|event| event.as_str()).collect() }
    }
}
