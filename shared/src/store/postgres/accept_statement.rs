//! The statement that keeps new jobs, with what it is given.

use std::collections::HashMap;
use std::time::Duration;

use super::database::Statement;
use super::parts::Parts;
use super::rows::{millis, stored_tenant};
use crate::domain::{BatchId, JobId, NewJob, Webhook};

/// Centuries are for ever.
pub(super) const LONGEST_RETENTION: u64 = 100 * 366 * 86_400;

static ACCEPT: Parts<2> = Parts::new(include_str!("sql/accept_jobs.sql"), ["keys", "extras"]);
static ACCEPT_ALIKE: Parts<1> = Parts::new(include_str!("sql/accept_alike_jobs.sql"), ["keys"]);

/// Keeps these jobs. `key_wait`: milliseconds for which a key is waited for that another transaction has inserted.
pub(super) fn statement<'q>(jobs: &[&'q NewJob], key_wait: &str) -> Statement<'q> {
    let keys = jobs.iter().any(|job| job.idempotency.is_some());
    let extras = jobs.iter().any(|job| has_extras(job));
    match jobs {
        [first, rest @ ..] if !extras && rest.iter().all(|job| shared(job) == shared(first)) => {
            statement_for_alike(jobs, first, keys.then_some(key_wait))
        }
        _ => statement_for_any(jobs, keys, extras, key_wait),
    }
}

fn key(job: &NewJob) -> Option<&str> {
    job.idempotency.as_ref().map(|i| i.key.as_str())
}

fn fingerprint(job: &NewJob) -> Option<&[u8]> {
    job.idempotency.as_ref().map(|i| i.fingerprint.0.as_slice())
}

fn column<'j, T>(jobs: &[&'j NewJob], cell: impl Fn(&'j NewJob) -> T) -> Vec<T> {
    jobs.iter().map(|job| cell(job)).collect()
}

fn seconds(d: Duration) -> u64 {
    d.as_secs() + u64::from(d.subsec_nanos() > 0)
}

fn retention(job: &NewJob) -> i64 {
    seconds(job.retention).min(LONGEST_RETENTION).cast_signed()
}

fn width(job: &NewJob) -> i32 {
    i32::try_from(job.dispatch_width.max(1)).unwrap_or(i32::MAX)
}

fn inline(job: &NewJob) -> Option<&[u8]> {
    job.input.body.inline().map(AsRef::as_ref)
}

/// What the jobs of a batch have in common that are alike.
fn shared(job: &NewJob) -> impl PartialEq + use<'_> {
    let input_type = job.input.content_type.as_str();
    let bounds = (job.run_timeout, job.max_attempts, job.retention);
    let keyed = job.idempotency.is_some();
    (&job.tenant, &job.kind, &job.queue, job.priority, job.express, job.dispatch_width, input_type, bounds, keyed)
}

/// For jobs without extras that are like `first`. `key_wait` if they have keys.
fn statement_for_alike<'q>(jobs: &[&'q NewJob], first: &'q NewJob, key_wait: Option<&str>) -> Statement<'q> {
    let mut jobs = jobs.to_vec();
    jobs.sort_unstable_by_key(|job| job.id);
    let dispatches: Vec<i32> =
        (1..=jobs.len()).step_by(first.dispatch_width.max(1)).filter_map(|place| i32::try_from(place).ok()).collect();
    let plain = sqlx::query(ACCEPT_ALIKE.with([key_wait.is_some()]))
        .bind(column(&jobs, |job| job.id.as_uuid()))
        .bind(column(&jobs, inline))
        .bind(column(&jobs, |job| job.traceparent.as_deref()))
        .bind(dispatches)
        .bind(stored_tenant(&first.tenant))
        .bind(first.kind.as_str())
        .bind(first.queue.as_str())
        .bind(i16::from(first.priority))
        .bind(first.band().as_i16())
        .bind(width(first))
        .bind(first.input.content_type.as_str())
        .bind(millis(first.run_timeout))
        .bind(first.max_attempts)
        .bind(retention(first));
    match key_wait {
        Some(wait) => plain.bind(column(&jobs, key)).bind(column(&jobs, fingerprint)).bind(wait.to_owned()),
        None => plain,
    }
}

fn statement_for_any<'q>(jobs: &[&'q NewJob], keys: bool, extras: bool, key_wait: &str) -> Statement<'q> {
    // What a part that is left out would read, nobody has to write.
    let (keyed, extended) = (if keys { jobs } else { &[] }, if extras { jobs } else { &[] });
    sqlx::query(ACCEPT.with([keys, extras]))
        .bind(column(jobs, |job| job.id.as_uuid()))
        .bind(column(jobs, |job| stored_tenant(&job.tenant)))
        .bind(column(jobs, |job| job.kind.as_str()))
        .bind(column(jobs, |job| job.queue.as_str()))
        .bind(column(jobs, |job| i16::from(job.priority)))
        .bind(column(jobs, |job| job.band().as_i16()))
        .bind(column(jobs, width))
        .bind(chunks(jobs))
        .bind(column(jobs, inline))
        .bind(column(jobs, |job| job.input.content_type.as_str()))
        .bind(column(jobs, |job| millis(job.run_timeout)))
        .bind(column(jobs, |job| job.max_attempts))
        .bind(column(jobs, retention))
        .bind(column(jobs, |job| job.deadline))
        .bind(column(jobs, |job| job.traceparent.as_deref()))
        .bind(column(keyed, key))
        .bind(column(keyed, fingerprint))
        .bind(key_wait.to_owned())
        .bind(column(extended, |job| job.run_at))
        .bind(column(extended, NewJob::expires_unstarted_at))
        .bind(column(extended, |job| job.metadata.as_deref()))
        .bind(column(extended, |job| array_literal(&job.tags)))
        .bind(column(extended, |job| job.retry_of.map(JobId::as_uuid)))
        .bind(column(extended, |job| job.batch.map(BatchId::as_uuid)))
        .bind(column(extended, |job| job.input_goes_after().map(|kept| seconds(kept).cast_signed())))
        .bind(column(extended, |job| job.webhook.as_ref().map(|webhook| webhook.url.as_str())))
        .bind(column(extended, |job| job.webhook.as_ref().map(events)))
        .bind(column(extended, |job| job.input.body.blob().map(ToString::to_string)))
        .bind(column(extended, |job| job.concurrency_key.as_deref()))
        .bind(column(extended, |job| job.line.as_deref()))
}

/// Whether the job has anything in the part `extras` of the statement. Every field is named: one that is new belongs
/// somewhere. If not among the extras, then also in [`shared`], or with what alike jobs may differ in.
fn has_extras(job: &NewJob) -> bool {
    let NewJob {
        id: _,
        tenant: _,
        kind: _,
        queue: _,
        priority: _,
        express: _,
        input,
        run_at,
        // The earlier of these is when it expires.
        start_by,
        deadline,
        run_timeout: _,
        max_attempts: _,
        retention: _,
        input_retention,
        metadata,
        tags,
        concurrency_key,
        line,
        idempotency: _,
        traceparent: _,
        retry_of,
        batch,
        webhook,
        dispatch_width: _,
    } = job;
    run_at.is_some()
        || start_by.is_some()
        || deadline.is_some()
        || input_retention.is_some()
        || metadata.is_some()
        || !tags.is_empty()
        || retry_of.is_some()
        || batch.is_some()
        || webhook.is_some()
        || input.body.blob().is_some()
        || concurrency_key.is_some()
        || line.is_some()
}

/// The events of a webhook, as Postgres writes an array of them.
fn events(webhook: &Webhook) -> String {
    array_literal(&webhook.events.iter().map(|event| event.as_str().to_owned()).collect::<Vec<_>>())
}

/// Numbers the dispatches that the jobs will share: one tenant, queue, band and kind, no more jobs than any of them allows.
fn chunks(jobs: &[&NewJob]) -> Vec<i32> {
    struct Open {
        chunk: i32,
        room: usize,
        used: usize,
    }
    let mut next = 0;
    let mut open: HashMap<_, Open> = HashMap::new();
    let mut chunks = Vec::with_capacity(jobs.len());
    for job in jobs {
        let width = job.dispatch_width.max(1);
        let group = (&job.tenant, &job.queue, job.band(), &job.kind, job.run_at.is_some() || job.line.is_some());
        let current = open.entry(group).or_insert(Open { chunk: -1, room: 0, used: 0 });
        if current.used >= current.room.min(width) {
            *current = Open { chunk: next, room: width, used: 0 };
            next += 1;
        }
        current.used += 1;
        current.room = current.room.min(width);
        chunks.push(current.chunk);
    }
    chunks
}

/// Texts as Postgres writes an array of them: `unnest` cannot carry arrays of different lengths in any other way.
fn array_literal(texts: &[String]) -> String {
    let quoted: Vec<String> =
        texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}
