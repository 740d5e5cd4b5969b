//! Accepting: a batch of jobs, their keys, timers and dispatches in one commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::SqliteConnection;

use super::Sqlite;
use super::dispatches::{PUBLISH_WITHIN, Place, Waiting};
use super::file::{failed, failed_or_rejected};
use super::moves::set_timer;
use super::rows::{self, Cell, Pieces};
use crate::domain::{BatchId, Fingerprint, JobId, NewJob, Status};
use crate::store::{Accepted, AcceptedBatch, StoreError};

/// A text that Postgres could not keep either: both stores refuse the same.
#[derive(Debug, thiserror::Error)]
#[error("a text with a NUL character cannot be kept")]
pub(super) struct NulInText;

/// Refuses NUL in texts.
pub(super) fn check_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), StoreError> {
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(StoreError::Rejected(Arc::new(NulInText)));
    }
    Ok(())
}

impl Sqlite {
    /// Keeps a batch; when it fails as a whole, every row is told so.
    pub(super) async fn accept_batch(&self, batch: Vec<NewJob>) -> AcceptedBatch {
        let count = batch.len();
        self.try_accept(batch)
            .await
            .unwrap_or_else(|error| AcceptedBatch { answers: vec![Err(error); count], dispatches: Vec::new() })
    }

    async fn try_accept(&self, batch: Vec<NewJob>) -> Result<AcceptedBatch, StoreError> {
        if batch.is_empty() {
            return Ok(AcceptedBatch { answers: Vec::new(), dispatches: Vec::new() });
        }
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        // Read once the writer is ours: who comes later does not get an earlier time.
        let now = self.now();
        let accepted = accept_all(&mut write, &batch, now).await?;
        write.commit().await?;
        Ok(accepted)
    }
}

/// A key and whose it is: the same key of another tenant is another.
type ScopedKey<'j> = (&'j str, &'j str);

fn scoped_key(job: &NewJob) -> Option<ScopedKey<'_>> {
    job.idempotency.as_ref().map(|idempotency| (job.tenant.as_str(), idempotency.key.as_str()))
}

/// Keeps all that can be, in the caller's transaction.
pub(super) async fn accept_all(
    connection: &mut SqliteConnection,
    batch: &[NewJob],
    now: i64,
) -> Result<AcceptedBatch, StoreError> {
    let mut answers = HashMap::with_capacity(batch.len());
    let mut keys = HashSet::new();
    let is_first = |place: &usize| scoped_key(&batch[*place]).is_none_or(|key| keys.insert(key));
    let (firsts, repeats): (Vec<usize>, Vec<usize>) = (0..batch.len()).partition(is_first);
    keep(connection, batch, &firsts, now, &mut answers).await?;
    for repeat in repeats {
        // Whether its key is free shows once those before it are kept, or refused.
        keep(connection, batch, &[repeat], now, &mut answers).await?;
    }
    let mut waiting = Waiting::default();
    for (place, new) in batch.iter().enumerate() {
        if let Some(Ok(Accepted::New { id, status: Status::Queued })) = answers.get(&place) {
            waiting.add(Place::of(new), *id);
        }
    }
    let dispatches = waiting.dispatch(connection, now, rows::later(now, PUBLISH_WITHIN)).await?;
    let unanswered = || Err(StoreError::unavailable(sqlx::Error::RowNotFound));
    let answers = (0..batch.len()).map(|place| answers.remove(&place).unwrap_or_else(unanswered)).collect();
    Ok(AcceptedBatch { answers, dispatches })
}

/// Keeps those jobs of a batch that stand at these places, no two of them with the same key: each that is alike to others with them.
async fn keep(
    connection: &mut SqliteConnection,
    batch: &[NewJob],
    places: &[usize],
    now: i64,
    answers: &mut HashMap<usize, Result<Accepted, StoreError>>,
) -> Result<(), StoreError> {
    let known =
        find_keys(connection, places.iter().filter_map(|place| scoped_key(&batch[*place])).collect(), now).await?;
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &place in places {
        let new = &batch[place];
        let holder = || scoped_key(new).and_then(|(tenant, key)| known.get(&(tenant.to_owned(), key.to_owned())));
        if let Err(refused) = check_job(new) {
            answers.insert(place, Err(refused));
        } else if let Some(holder) = holder() {
            answers.insert(place, Ok(holder.clone()));
        } else {
            match groups.iter_mut().find(|group| shared(&batch[group[0]]) == shared(new)) {
                Some(group) => group.push(place),
                None => groups.push(vec![place]),
            }
        }
    }
    while let Some(group) = groups.pop() {
        let jobs: Vec<&NewJob> = group.iter().map(|place| &batch[*place]).collect();
        match insert_jobs(connection, &jobs, now).await {
            Ok(status) => {
                answers.extend(group.iter().map(|&place| (place, Ok(Accepted::New { id: batch[place].id, status }))));
            }
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(refused) if group.len() < 2 => {
                answers.extend(group.into_iter().map(|place| (place, Err(refused.clone()))));
            }
            // Nothing is left of them. Each alone shows whose fault it was.
            Err(_) => groups.extend(group.into_iter().map(|place| vec![place])),
        }
    }
    Ok(())
}

fn check_job(new: &NewJob) -> Result<(), StoreError> {
    let texts = new
        .tags
        .iter()
        .chain(&new.metadata)
        .chain(&new.traceparent)
        .chain(&new.concurrency_key)
        .chain([&new.input.content_type]);
    check_texts(texts.map(String::as_str))
}

/// What jobs have in common that one statement keeps. Every field is named: one that is new belongs somewhere.
fn shared(job: &NewJob) -> impl PartialEq + use<'_> {
    let NewJob {
        // What `accept_jobs.sql` has for each.
        id: _,
        metadata: _,
        tags: _,
        traceparent: _,
        idempotency,
        input,
        // What only the timers and erasures have, which are for each.
        start_by: _,
        input_retention: _,
        tenant,
        kind,
        queue,
        priority,
        express,
        run_at,
        deadline,
        run_timeout,
        max_attempts,
        retention,
        concurrency_key,
        line,
        retry_of,
        batch,
        webhook,
        dispatch_width,
    } = job;
    let place = (tenant, kind, queue, priority, express, dispatch_width, line, concurrency_key);
    let bounds = (run_at, deadline, run_timeout, max_attempts, retention);
    let body = (&input.content_type, input.body.blob());
    (place, bounds, body, retry_of, batch, webhook, idempotency.is_some())
}

/// Keeps jobs that are alike, and answers where they are. Whatever refuses one comes before the first row is written or is that row
/// itself, so that nothing is left of any.
async fn insert_jobs(connection: &mut SqliteConnection, jobs: &[&NewJob], now: i64) -> Result<Status, StoreError> {
    let Some(first) = jobs.first() else { return Ok(Status::Queued) };
    let run_at = first.run_at.map(rows::micros);
    let status = if run_at.is_some_and(|at| at > now) { Status::Scheduled } else { Status::Queued };
    insert_rows(connection, jobs, first, status).await?;
    insert_keys(connection, jobs, first).await?;
    for new in jobs {
        if let Some(run_at) = run_at.filter(|_| status == Status::Scheduled) {
            set_timer(connection, new.id, "enqueue", run_at, None).await?;
        }
        if let Some(expires) = new.expires_unstarted_at() {
            set_timer(connection, new.id, "expire", rows::micros(expires), None).await?;
        }
        if let Some(kept) = new.input_goes_after() {
            let query = sqlx::query(include_str!("sql/accept_erasure.sql"))
                .bind(new.id.as_uuid())
                .bind(rows::whole(kept.as_secs()))
                .bind(rows::later(now, kept));
            query.execute(&mut *connection).await.map_err(failed)?;
        }
    }
    Ok(status)
}

fn ids(jobs: &[&NewJob]) -> Vec<u8> {
    rows::id_bytes(&jobs.iter().map(|job| job.id).collect::<Vec<_>>())
}

async fn insert_rows(
    connection: &mut SqliteConnection,
    jobs: &[&NewJob],
    first: &NewJob,
    status: Status,
) -> Result<(), StoreError> {
    let mut inputs = Pieces::default();
    let own: Vec<_> = jobs
        .iter()
        .map(|job| {
            let (begin, length) = inputs.add(job.input.body.inline().map_or(&[][..], |bytes| bytes));
            let tags = rows::text_list(job.tags.iter().map(String::as_str));
            let key = job.idempotency.as_ref().map(|idempotency| idempotency.key.as_str());
            (begin, length, job.metadata.as_deref(), tags, key, job.traceparent.as_deref())
        })
        .collect();
    let query = sqlx::query(include_str!("sql/accept_jobs.sql"))
        .bind(ids(jobs))
        .bind(first.kind.as_str())
        .bind(first.queue.as_str())
        .bind(i64::from(first.priority))
        .bind(status.as_str())
        .bind(first.max_attempts)
        .bind(first.run_at.map(rows::micros))
        .bind(first.deadline.map(rows::micros))
        .bind(rows::whole(first.run_timeout.as_millis()))
        .bind(rows::whole(first.retention.as_secs()))
        .bind(rows::whole(first.dispatch_width.max(1)))
        .bind(&first.input.content_type)
        .bind(first.retry_of.map(JobId::as_uuid))
        .bind(first.batch.map(BatchId::as_uuid))
        .bind(rows::stored_tenant(&first.tenant))
        .bind(first.express)
        .bind(first.webhook.as_ref().map(|webhook| webhook.url.as_str()))
        .bind(first.webhook.as_ref().map(|webhook| rows::text_list(webhook.events.iter().map(|event| event.as_str()))))
        .bind(first.input.body.blob().map(ToString::to_string))
        .bind(&first.concurrency_key)
        .bind(&first.line)
        .bind(inputs.bytes())
        .bind(rows::json(&own)?);
    query.execute(connection).await.map(drop).map_err(failed_or_rejected)
}

async fn insert_keys(connection: &mut SqliteConnection, jobs: &[&NewJob], first: &NewJob) -> Result<(), StoreError> {
    if first.idempotency.is_none() {
        return Ok(());
    }
    let keys = jobs.iter().filter_map(|job| job.idempotency.as_ref());
    let fingerprints: Vec<u8> = keys.clone().flat_map(|idempotency| idempotency.fingerprint.0).collect();
    let query = sqlx::query(include_str!("sql/accept_keys.sql"))
        .bind(rows::text_list(keys.map(|idempotency| idempotency.key.as_str())))
        .bind(first.tenant.as_str())
        .bind(ids(jobs))
        .bind(fingerprints);
    query.execute(connection).await.map(drop).map_err(failed)
}

/// Who holds these keys, by tenant and key.
pub(super) async fn find_keys(
    connection: &mut SqliteConnection,
    keys: Vec<ScopedKey<'_>>,
    now: i64,
) -> Result<HashMap<(String, String), Accepted>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let asked: Vec<(&str, &str)> = keys.into_iter().map(|(tenant, key)| (key, tenant)).collect();
    let query = sqlx::query(include_str!("sql/find_keys.sql")).bind(rows::json(&asked)?).bind(now);
    let found = query.fetch_all(connection).await.map_err(failed)?;
    let holder = |row| {
        let row = Cell::of("idempotency_keys", row);
        let (first, fingerprint) = (JobId::new(row.get("job_id")?), Fingerprint(row.digest("fingerprint")?));
        Ok(((row.get("tenant")?, row.get("key")?), Accepted::Known { first, fingerprint }))
    };
    found.iter().map(holder).collect()
}
