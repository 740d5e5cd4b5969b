//! A kind, as its clients have to know it. What runs it is the operator's.

use raincheck_shared::config::{InputSchema, Kind, Settings, format_duration};
use serde::Serialize;
use serde_json::Value;

use super::links::LinkBase;
use crate::engine::RunTimes;

/// What clients may know of a kind.
#[derive(Debug, Serialize)]
pub(crate) struct KindView<'a> {
    name: &'a str,
    description: Option<&'a str>,
    queue: &'a str,
    /// Media types of inputs; empty: any.
    content_types: &'a [String],
    input_schema: Option<&'a Value>,
    limits: Limits,
    timeouts: Timeouts,
    retention: Retention,
    max_attempts: i32,
    /// `null`: too few have run lately
    run_time: Option<RunTimeView>,
    links: KindLinks,
}

#[derive(Debug, Serialize)]
struct Limits {
    input_bytes: u64,
    output_bytes: u64,
    run_timeout: String,
    retention: String,
    metadata_pairs: usize,
    tags: usize,
    /// What is limited over all workers; not there: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrent_jobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrent_per_key: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_key: Option<String>,
}

#[derive(Debug, Serialize)]
struct Timeouts {
    run: String,
}

#[derive(Debug, Serialize)]
struct Retention {
    result: String,
}

/// How long jobs of a kind have run lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct RunTimeView {
    /// Half of them took no longer, in milliseconds.
    pub(crate) p50_ms: u64,
    /// 95 of 100 took no longer, in milliseconds.
    pub(crate) p95_ms: u64,
    /// How many were looked at.
    pub(crate) sample: u64,
}

impl From<RunTimes> for RunTimeView {
    fn from(times: RunTimes) -> Self {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { p50_ms: millis(times.p50), p95_ms: millis(times.p95), sample: times.sample as u64 }
    }
}

#[derive(Debug, Serialize)]
struct KindLinks {
    #[serde(rename = "self")]
    itself: String,
    submit: String,
}

impl<'a> KindView<'a> {
    /// A kind under the limits of all; `run_time` once it is known.
    pub(crate) fn new(kind: &'a Kind, settings: &Settings, run_time: Option<RunTimeView>, links: &LinkBase) -> Self {
        let jobs = &settings.jobs;
        let path = format!("/v1/kinds/{}", kind.name);
        Self {
            name: kind.name.as_str(),
            description: kind.description.as_deref(),
            queue: kind.queue.as_str(),
            content_types: &kind.content_types,
            input_schema: kind.schema.as_ref().map(InputSchema::source),
            limits: Limits {
                input_bytes: jobs.max_input,
                output_bytes: jobs.max_output,
                run_timeout: format_duration(jobs.max_run_timeout),
                retention: format_duration(jobs.max_retention),
                metadata_pairs: jobs.max_metadata,
                tags: jobs.max_tags,
                concurrent_jobs: kind.limits.concurrent_jobs,
                rate: kind.limits.rate.map(|rate| rate.to_string()),
                concurrent_per_key: kind.limits.concurrent_per_key,
                rate_per_key: kind.limits.rate_per_key.map(|rate| rate.to_string()),
            },
            timeouts: Timeouts { run: format_duration(kind.timeout) },
            retention: Retention { result: format_duration(kind.retention) },
            max_attempts: kind.retry.max_attempts,
            run_time,
            links: KindLinks { submit: links.to(&format!("{path}/jobs")), itself: links.to(&path) },
        }
    }
}
