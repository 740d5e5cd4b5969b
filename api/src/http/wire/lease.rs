//! Leases on the wire: what remote workers ask for, get and say.

use std::time::Duration;

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{FailureCode, JobId, KindName, Progress, QueueName, Timestamp};
use raincheck_shared::store::lines_of;
use serde::Serialize;
use time::serde::rfc3339;

use super::inline_value::InlineValue;
use super::links::LinkBase;
use super::object::Fields;
use crate::engine::{Change, LeaseEnd, LeaseToken, LeaseWish, LeasedJob, RenewedLease};
use crate::http::code::Code;
use crate::http::problem::Problem;

/// Jobs of one request at most.
pub(crate) const MOST_LEASES: usize = 100;
/// How long a lease may last, and lasts when nobody says so.
pub(crate) const SHORTEST_TTL: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_TTL: Duration = Duration::from_hours(1);
pub(crate) const USUAL_TTL: Duration = Duration::from_secs(30);
/// A sign of life is wanted at least so often, however long the lease: it is how a worker hears of a cancel.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// Characters of a worker's name, and of an error's line.
pub(crate) const LONGEST_NAME: usize = 200;
pub(crate) const LONGEST_MESSAGE: usize = 1_000;
/// Lines of one request at most.
pub(crate) const MOST_LINES: usize = 1_000;

fn checked<T>(fields: Fields<'_>, read: T) -> Result<T, Problem> {
    let findings = fields.finish();
    if findings.is_empty() { Ok(read) } else { Err(Problem::of_findings(Code::InputInvalid, findings)) }
}

/// Reads what is asked for.
pub(crate) fn read_lease_wish(body: &[u8], settings: &Settings, known: &[QueueName]) -> Result<LeaseWish, Problem> {
    let mut fields = Fields::of_body(if body.is_empty() { b"{}" } else { body })?;
    let remote = settings.remote_kinds();
    let kinds = named(&mut fields, "kinds", &remote, |name: &KindName| {
        if settings.kinds.contains_key(name) {
            format!("kind {name} is not for remote workers: it does not say `remote = true`")
        } else {
            format!("there is no kind {name}")
        }
    });
    if remote.is_empty() {
        fields.fault("kinds", "no kind is for remote workers: give one `remote = true` in the configuration");
    }
    let queues = named(&mut fields, "queues", known, |name: &QueueName| format!("there is no queue {name}"));
    let most = i64::try_from(MOST_LEASES).unwrap_or(i64::MAX);
    let max = fields.number("max", 1, most).and_then(|max| usize::try_from(max).ok()).unwrap_or(1);
    let ttl = fields.duration("ttl").unwrap_or(USUAL_TTL);
    if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
        fields.fault("ttl", "must be from 1s to 1h");
    }
    let name = fields.text("worker").unwrap_or_else(|| "remote".to_owned());
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        fields.fault("worker", format!("must have 1 to {LONGEST_NAME} characters"));
    }
    checked(fields, LeaseWish { name, kinds, queues, max, ttl })
}

/// Names of a list, each one of those that there are; all of them when there is no list.
fn named<T>(fields: &mut Fields<'_>, field: &str, known: &[T], missing: impl Fn(&T) -> String) -> Vec<T>
where
    T: std::str::FromStr<Err: std::fmt::Display> + Clone + Ord,
{
    let Some(given) = fields.list(field) else { return known.to_vec() };
    if given.is_empty() {
        fields.fault(field, "must not be empty; leave it out for all of them");
    }
    let mut names = Vec::new();
    for (n, value) in given.into_iter().enumerate().take(MOST_LEASES) {
        let at = format!("{field}/{n}");
        let Ok(text) = serde_json::from_str::<String>(value.get()) else {
            fields.fault_at(&at, "must be a string");
            continue;
        };
        match text.parse::<T>() {
            Ok(name) if known.contains(&name) => names.push(name),
            Ok(name) => fields.fault_at(&at, missing(&name)),
            Err(error) => fields.fault_at(&at, error.to_string()),
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Reads how far a job is.
pub(crate) fn read_progress(body: &[u8]) -> Result<Progress, Problem> {
    let mut fields = Fields::of_body(body)?;
    let percent = fields.float("percent", 0.0, 100.0);
    if percent.is_none() && fields.findings.is_empty() {
        fields.fault("percent", "is missing: a number from 0 to 100");
    }
    let message = fields.text("message");
    if message.as_ref().is_some_and(|message| message.chars().count() > LONGEST_MESSAGE) {
        fields.fault("message", format!("must have at most {LONGEST_MESSAGE} characters"));
    }
    checked(fields, Progress { percent: percent.unwrap_or_default(), message })
}

/// Reads lines for the log.
pub(crate) fn read_lines(body: &[u8]) -> Result<Vec<String>, Problem> {
    let mut fields = Fields::of_body(body)?;
    let given = fields.texts("lines");
    if given.len() > MOST_LINES {
        fields.fault("lines", format!("must have at most {MOST_LINES} lines"));
    }
    let given = checked(fields, given)?;
    Ok(given.iter().flat_map(|text| lines_of(text)).map(str::to_owned).collect())
}

/// Reads why an attempt failed. A message that is too long is cut and not refused: that the attempt has ended matters more than
/// all of its words.
pub(crate) fn read_fail(body: &[u8]) -> Result<LeaseEnd, Problem> {
    let mut fields = Fields::of_body(body)?;
    let mut message = fields.text("message").unwrap_or_default();
    if fields.findings.is_empty() && message.trim().is_empty() {
        fields.fault("message", "must not be empty");
    }
    if message.chars().count() > LONGEST_MESSAGE {
        message = message.trim_start().chars().take(LONGEST_MESSAGE).collect();
    }
    let detail = fields.text("detail").unwrap_or_default();
    let retryable = fields.choice("retryable").unwrap_or(true);
    let retry_after = fields.duration("retry_after");
    checked(fields, LeaseEnd::Fail { code: FailureCode::HandlerError, message, detail, retryable, retry_after })
}

/// Reads how a job is given back.
pub(crate) fn read_release(body: &[u8]) -> Result<LeaseEnd, Problem> {
    let mut fields = Fields::of_body(if body.is_empty() { b"{}" } else { body })?;
    let delay = fields.duration("delay");
    checked(fields, LeaseEnd::Release(delay.filter(|delay| !delay.is_zero())))
}

/// All that one request leased.
#[derive(Debug, Serialize)]
pub(crate) struct LeasesView<'a> {
    leases: Vec<LeaseView<'a>>,
}

#[derive(Debug, Serialize)]
struct LeaseView<'a> {
    token: String,
    job_id: String,
    kind: &'a str,
    queue: &'a str,
    attempt: i32,
    max_attempts: i32,
    #[serde(with = "rfc3339")]
    expires_at: Timestamp,
    #[serde(with = "rfc3339")]
    run_until: Timestamp,
    #[serde(with = "rfc3339::option")]
    deadline: Option<Timestamp>,
    heartbeat_every_ms: u128,
    input: InputView<'a>,
    traceparent: Option<&'a str>,
    links: LeaseLinks,
}

#[derive(Debug, Serialize)]
struct InputView<'a> {
    content_type: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<InlineValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Debug, Serialize)]
struct LeaseLinks {
    heartbeat: String,
    progress: String,
    logs: String,
    complete: String,
    fail: String,
    release: String,
    input: String,
    job: String,
}

impl<'a> LeasesView<'a> {
    /// What was leased, each for so long from each sign of life.
    pub(crate) fn new(jobs: &'a [LeasedJob], ttl: Duration, links: &LinkBase) -> Self {
        Self { leases: jobs.iter().map(|job| LeaseView::new(job, ttl, links)).collect() }
    }
}

impl<'a> LeaseView<'a> {
    fn new(job: &'a LeasedJob, ttl: Duration, links: &LinkBase) -> Self {
        let lease = LeaseToken { job: job.fence.job, token: job.fence.token };
        let to = |what: &str| links.to(&format!("/v1/leases/{lease}/{what}"));
        let value = job.input.as_ref().and_then(|bytes| InlineValue::of(&job.input_type, bytes));
        Self {
            token: lease.to_string(),
            job_id: job.fence.job.to_string(),
            kind: job.kind.as_str(),
            queue: job.queue.as_str(),
            attempt: job.fence.attempt,
            max_attempts: job.max_attempts,
            expires_at: job.lease_until,
            run_until: job.run_until,
            deadline: job.deadline,
            heartbeat_every_ms: (ttl / 3).min(LONGEST_SILENCE).as_millis(),
            input: InputView {
                content_type: &job.input_type,
                size: job.input_size,
                url: value.is_none().then(|| to("input")),
                value,
            },
            traceparent: job.traceparent.as_deref(),
            links: LeaseLinks {
                heartbeat: to("heartbeat"),
                progress: to("progress"),
                logs: to("logs"),
                complete: to("complete"),
                fail: to("fail"),
                release: to("release"),
                input: to("input"),
                job: links.job(job.fence.job),
            },
        }
    }
}

/// A lease that goes on.
#[derive(Debug, Serialize)]
pub(crate) struct RenewedView<'a> {
    job_id: String,
    #[serde(with = "rfc3339")]
    expires_at: Timestamp,
    #[serde(with = "rfc3339")]
    run_until: Timestamp,
    cancel_requested: bool,
    cancel_reason: Option<&'a str>,
}

impl<'a> RenewedView<'a> {
    pub(crate) fn new(lease: &'a RenewedLease) -> Self {
        Self {
            job_id: lease.fence.job.to_string(),
            expires_at: lease.lease_until,
            run_until: lease.run_until,
            cancel_requested: lease.cancel_requested,
            cancel_reason: lease.cancel_reason.as_deref(),
        }
    }
}

/// What became of a job whose lease was ended.
#[derive(Debug, Serialize)]
pub(crate) struct EndedView {
    job_id: String,
    status: &'static str,
    version: i32,
}

impl EndedView {
    pub(crate) fn new(job: JobId, change: Change) -> Self {
        Self { job_id: job.to_string(), status: change.status.as_str(), version: change.version }
    }
}
