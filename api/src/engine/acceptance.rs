//! Whether a submission can be accepted, and what is kept then. All that is wrong with it is found at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::config::{JobSettings, Kind, Settings};
use raincheck_shared::domain::{
    Content, Idempotency, Job, JobId, JobWebhook, KindName, NewJob, Payload, QueueName, Status, Timestamp,
};
use raincheck_shared::lifecycle::IdSource;

use time::format_description::well_known::Rfc3339;

use super::fingerprint::fingerprint;
use super::labels::check_labels;
use super::nesting::depth;
use super::rejection::{Fault, FaultKind, Rejection};
use super::schedule_job::MARKS;
use super::webhook_wishes::webhook_of_job;
use super::{Field, JobOptions, ScheduleMark, Submission};

/// Deeper JSON is refused, so that no handler has to fear for its stack.
const MAX_DEPTH: usize = 100;
/// Schema faults of one input that are told.
const MAX_SCHEMA_FAULTS: usize = 20;
/// How far ahead of this clock the id of a new job may be that its client chose: clocks differ.
const NEWEST_ID: Duration = Duration::from_mins(5);
const DEFAULT_PRIORITY: u8 = 5;

/// A submission that was looked at.
#[derive(Debug)]
pub(crate) struct Examined {
    /// What is kept if nothing is wrong.
    pub(crate) job: NewJob,
    /// What is wrong.
    pub(crate) faults: Vec<Fault>,
}

/// Whether nothing is wrong but that it comes too late: that was different when it was first sent, perhaps.
pub(super) fn are_late(faults: &[Fault]) -> bool {
    faults.iter().all(|fault| fault.kind != FaultKind::Invalid)
}

/// Looks at a submission as it stands at `now`.
pub(crate) fn examine(submission: &Submission, settings: &Settings, now: Timestamp) -> Result<Examined, Rejection> {
    let kind = find_kind(&submission.kind, settings)?;
    let input = &submission.input;
    if !kind.takes(&input.content_type) {
        return Err(Rejection::MediaType(format!("kind {} takes {}", kind.name, kind.content_types.join(", "))));
    }
    let largest = largest_input(&input.content_type, settings);
    if input.body.size() > largest {
        return Err(Rejection::TooLarge(largest));
    }
    if kind.schema.is_some() && !Payload::is_json_type(&input.content_type) {
        return Err(Rejection::MediaType(format!("kind {} takes application/json", kind.name)));
    }

    let mut faults = Faults::default();
    check_input(kind, input, &mut faults);
    let job = plan(submission, kind, settings, now, &mut faults);
    Ok(Examined { job, faults: faults.0 })
}

/// The largest input of a type, in bytes. JSON is looked at as a whole, so it has to fit in memory: the database's limit
/// is the limit there too.
pub(super) fn largest_input(content_type: &str, settings: &Settings) -> u64 {
    let JobSettings { max_input, .. } = settings.jobs;
    if Payload::is_json_type(content_type) { max_input.min(settings.blobs.in_database) } else { max_input }
}

fn find_kind<'a>(name: &str, settings: &'a Settings) -> Result<&'a Arc<Kind>, Rejection> {
    let unknown = || Rejection::UnknownKind(name.chars().take(80).collect());
    let name: KindName = name.parse().map_err(|_| unknown())?;
    settings.kinds.get(&name).ok_or_else(unknown)
}

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes what is invalid.
    pub(super) fn add(&mut self, field: Field, detail: impl Into<String>) {
        self.0.push(Fault { field, kind: FaultKind::Invalid, detail: detail.into() });
    }
}

fn check_input(kind: &Kind, input: &Content, faults: &mut Faults) {
    if !Payload::is_json_type(&input.content_type) {
        return;
    }
    // Larger JSON was refused above.
    let Some(bytes) = input.body.inline() else { return };
    // Does not recurse, whatever the depth.
    if let Err(error) = serde_json::from_slice::<&serde_json::value::RawValue>(bytes) {
        faults.add(Field::Input(String::new()), format!("not JSON: {error}"));
        return;
    }
    if depth(bytes) > MAX_DEPTH {
        faults.add(Field::Input(String::new()), format!("nested deeper than {MAX_DEPTH} levels"));
        return;
    }
    let Some(schema) = &kind.schema else { return };
    match serde_json::from_slice(bytes) {
        Ok(value) => {
            for (pointer, problem) in schema.problems(&value, MAX_SCHEMA_FAULTS) {
                faults.add(Field::Input(pointer), problem);
            }
        }
        Err(error) => faults.add(Field::Input(String::new()), format!("cannot be read: {error}")),
    }
}

fn plan(submission: &Submission, kind: &Kind, settings: &Settings, now: Timestamp, faults: &mut Faults) -> NewJob {
    let options = &submission.options;
    if let Some(detail) = submission.id.and_then(|id| id_problem(id, now)) {
        faults.0.push(Fault { field: Field::Id, kind: FaultKind::IdRefused, detail });
    }
    let run_at = start(options, now, faults);
    let deadline = deadline(options, now, run_at, faults);
    let earliest = run_at.unwrap_or(now);
    let start_by = options.start_timeout.map(|timeout| {
        if timeout.is_zero() {
            faults.add(Field::StartTimeout, "must be longer than nothing");
        }
        earliest.saturating_add(signed(timeout))
    });
    if options.input_retention.is_some_and(|retention| retention > settings.jobs.max_retention) {
        faults.add(Field::InputRetention, at_most(settings.jobs.max_retention));
    }
    check_labels(submission, settings, faults);
    let wish = options.webhook.as_ref();
    let webhook = wish.and_then(|wish| webhook_of_job(wish, &submission.tenant, settings, &mut faults.0));
    let metadata = match &options.schedule {
        Some(mark) => Some(marked(&options.metadata, mark)),
        None => (!options.metadata.is_empty()).then(|| serde_json::json!(options.metadata).to_string()),
    };

    let queue = queue(options, kind, settings, faults);
    NewJob {
        // A blob bears the name of its job.
        id: submission.input.body.blob().map(|blob| blob.name.job).or(submission.id).unwrap_or_else(|| IdSource.job()),
        tenant: submission.tenant.clone(),
        kind: kind.name.clone(),
        line: settings.flow.line_of(&submission.tenant, &kind.name, &queue, options.concurrency_key.as_deref()),
        queue,
        priority: options.priority.unwrap_or(DEFAULT_PRIORITY),
        express: false,
        input: submission.input.clone(),
        run_at: run_at.map(as_kept),
        start_by: start_by.map(as_kept),
        deadline: deadline.map(as_kept),
        run_timeout: run_timeout(options, kind, settings, faults),
        max_attempts: options.max_attempts.unwrap_or(kind.retry.max_attempts),
        retention: retention(options, kind, settings, faults),
        input_retention: options.input_retention,
        metadata,
        tags: options.tags.clone(),
        concurrency_key: options.concurrency_key.clone(),
        idempotency: submission.key.clone().map(|key| Idempotency { key, fingerprint: fingerprint(submission) }),
        traceparent: submission.traceparent.clone(),
        retry_of: submission.retry_of,
        batch: None,
        webhook,
        dispatch_width: kind.dispatch_width(settings.worker.concurrency),
    }
}

/// Labels, and what a schedule says of itself.
fn marked(metadata: &BTreeMap<String, String>, mark: &ScheduleMark) -> String {
    let mut all = metadata.clone();
    all.insert(MARKS[0].to_owned(), mark.name.to_string());
    if let Some(tick) = mark.tick.and_then(|tick| tick.format(&Rfc3339).ok()) {
        all.insert(MARKS[1].to_owned(), tick);
    }
    serde_json::json!(all).to_string()
}

/// Why a client's id cannot be a new job's. Jobs are kept in the order of their ids, so an id must tell about the time at
/// which it comes; and an old one could be that of a job that was forgotten. A job with such an id is not forgotten for a
/// day, so no id that is taken again was ever another job's.
fn id_problem(id: JobId, now: Timestamp) -> Option<String> {
    if !id.is_v7() {
        return Some("must be a UUIDv7".to_owned());
    }
    let age = now - id.created_at();
    let told = |by: Duration| raincheck_shared::config::format_duration(by);
    (age > JobId::KEPT_WITHIN || -age > NEWEST_ID).then(|| {
        format!(
            "must be a UUIDv7 made at most {} ago and at most {} ahead of now",
            told(JobId::KEPT_WITHIN),
            told(NEWEST_ID)
        )
    })
}

/// An instant as both stores can keep it, so that what is answered at once is what is read later.
pub(super) fn as_kept(at: Timestamp) -> Timestamp {
    at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000).unwrap_or(at)
}

fn signed(duration: Duration) -> time::Duration {
    time::Duration::try_from(duration).unwrap_or(time::Duration::MAX)
}

/// When it may start; `None`: at once.
fn start(options: &JobOptions, now: Timestamp, faults: &mut Faults) -> Option<Timestamp> {
    if options.run_at.is_some() && options.delay.is_some() {
        faults.add(Field::Delay, "give either run_at or delay");
    }
    let later = options.delay.map(|delay| now.saturating_add(signed(delay)));
    options.run_at.or(later).filter(|at| *at > now)
}

fn deadline(options: &JobOptions, now: Timestamp, run_at: Option<Timestamp>, faults: &mut Faults) -> Option<Timestamp> {
    let deadline = options.deadline?;
    if deadline <= now {
        let detail = "has passed".to_owned();
        faults.0.push(Fault { field: Field::Deadline, kind: FaultKind::DeadlinePast, detail });
    } else if run_at.is_some_and(|at| deadline <= at) {
        faults.add(Field::Deadline, "is not after the time at which the job may start");
    }
    Some(deadline)
}

fn queue(options: &JobOptions, kind: &Kind, settings: &Settings, faults: &mut Faults) -> QueueName {
    let Some(name) = &options.queue else { return kind.queue.clone() };
    match name.parse::<QueueName>() {
        Ok(queue) => {
            if !settings.queues().contains(&queue) && !settings.worker.queues.contains(&queue) {
                faults.add(Field::Queue, format!("there is no queue {queue}: no worker would take the job"));
            }
            queue
        }
        Err(error) => {
            faults.add(Field::Queue, error.to_string());
            kind.queue.clone()
        }
    }
}

fn run_timeout(options: &JobOptions, kind: &Kind, settings: &Settings, faults: &mut Faults) -> Duration {
    let Some(timeout) = options.run_timeout else { return kind.timeout };
    if timeout.is_zero() {
        faults.add(Field::RunTimeout, "must be longer than nothing");
    } else if timeout > settings.jobs.max_run_timeout {
        faults.add(Field::RunTimeout, at_most(settings.jobs.max_run_timeout));
    }
    timeout
}

fn retention(options: &JobOptions, kind: &Kind, settings: &Settings, faults: &mut Faults) -> Duration {
    let Some(retention) = options.result_retention else { return kind.retention };
    if retention < Duration::from_secs(1) {
        faults.add(Field::ResultRetention, "must be at least 1s");
    } else if retention > settings.jobs.max_retention {
        faults.add(Field::ResultRetention, at_most(settings.jobs.max_retention));
    }
    retention
}

fn at_most(limit: Duration) -> String {
    format!("must be at most {}", raincheck_shared::config::format_duration(limit))
}

/// The job as the store has just kept it, without reading it back.
pub(super) fn fresh_job(new: &NewJob, status: Status) -> Job {
    Job {
        id: new.id,
        tenant: new.tenant.clone(),
        kind: new.kind.clone(),
        queue: new.queue.clone(),
        priority: new.priority,
        version: 1,
        status,
        attempt: 0,
        max_attempts: new.max_attempts,
        run_at: new.run_at,
        started_at: None,
        finished_at: None,
        next_attempt_at: None,
        expires_at: None,
        erased_at: None,
        deadline: new.deadline,
        run_timeout: new.run_timeout,
        retention: new.retention,
        heartbeat_at: None,
        worker: None,
        progress: None,
        cancel: None,
        result: None,
        error: None,
        attempts: Vec::new(),
        metadata: new.metadata.clone(),
        tags: new.tags.clone(),
        concurrency_key: new.concurrency_key.clone(),
        idempotency_key: new.idempotency.as_ref().map(|i| i.key.as_str().to_owned()),
        traceparent: new.traceparent.clone(),
        retry_of: new.retry_of,
        batch: new.batch,
        webhook: new.webhook.clone().map(|wish| JobWebhook { wish, summary: None }),
    }
}
