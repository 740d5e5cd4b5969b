//! Accepting: a batch of jobs, their keys, timers and dispatches in one commit.

use std::sync::Arc;

use sqlx::SqliteConnection;

use super::Sqlite;
use super::dispatches::{PUBLISH_WITHIN, Place, Waiting};
use super::file::{failed, failed_or_rejected};
use super::moves::set_timer;
use super::rows::{self, Cell};
use crate::domain::{BatchId, Fingerprint, IdempotencyKey, JobId, NewJob, Status, TenantName};
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

/// Keeps all that can be, in the caller's transaction.
pub(super) async fn accept_all(
    connection: &mut SqliteConnection,
    batch: &[NewJob],
    now: i64,
) -> Result<AcceptedBatch, StoreError> {
    let mut answers = Vec::with_capacity(batch.len());
    let mut waiting = Waiting::default();
    for new in batch {
        let answer = accept_job(connection, new, now).await;
        match answer {
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Ok(Accepted::New { id, status: Status::Queued }) => waiting.add(Place::of(new), id),
            _ => {}
        }
        answers.push(answer);
    }
    let dispatches = waiting.dispatch(connection, now, rows::later(now, PUBLISH_WITHIN)).await?;
    Ok(AcceptedBatch { answers, dispatches })
}

/// Keeps one. Whatever refuses it comes before the first row is written or is that row itself, so that nothing is left
/// of it.
async fn accept_job(connection: &mut SqliteConnection, new: &NewJob, now: i64) -> Result<Accepted, StoreError> {
    let texts = new
        .tags
        .iter()
        .chain(&new.metadata)
        .chain(&new.traceparent)
        .chain(&new.concurrency_key)
        .chain([&new.input.content_type]);
    check_texts(texts.map(String::as_str))?;
    if let Some(idempotency) = &new.idempotency
        && let Some(known) = find_key(connection, &idempotency.key, &new.tenant, now).await?
    {
        return Ok(known);
    }
    let run_at = new.run_at.map(rows::micros);
    let status = if run_at.is_some_and(|at| at > now) { Status::Scheduled } else { Status::Queued };
    insert_job(connection, new, status).await?;
    if let Some(idempotency) = &new.idempotency {
        let query = sqlx::query(include_str!("sql/accept_key.sql"))
            .bind(idempotency.key.as_str())
            .bind(new.tenant.as_str())
            .bind(new.id.as_uuid())
            .bind(&idempotency.fingerprint.0[..]);
        query.execute(&mut *connection).await.map_err(failed)?;
    }
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
    Ok(Accepted::New { id: new.id, status })
}

async fn insert_job(connection: &mut SqliteConnection, new: &NewJob, status: Status) -> Result<(), StoreError> {
    let query = sqlx::query(include_str!("sql/accept_job.sql"))
        .bind(new.id.as_uuid())
        .bind(new.kind.as_str())
        .bind(new.queue.as_str())
        .bind(i64::from(new.priority))
        .bind(status.as_str())
        .bind(new.max_attempts)
        .bind(new.run_at.map(rows::micros))
        .bind(new.deadline.map(rows::micros))
        .bind(rows::whole(new.run_timeout.as_millis()))
        .bind(rows::whole(new.retention.as_secs()))
        .bind(rows::whole(new.dispatch_width.max(1)))
        .bind(&new.input.content_type)
        .bind(&new.metadata)
        .bind(rows::text_list(new.tags.iter().map(String::as_str)))
        .bind(new.idempotency.as_ref().map(|i| i.key.as_str()))
        .bind(&new.traceparent)
        .bind(new.input.body.inline().map_or(&[][..], |bytes| bytes))
        .bind(new.retry_of.map(JobId::as_uuid))
        .bind(new.batch.map(BatchId::as_uuid))
        .bind(rows::stored_tenant(&new.tenant))
        .bind(new.express)
        .bind(new.webhook.as_ref().map(|webhook| webhook.url.as_str()))
        .bind(new.webhook.as_ref().map(|webhook| rows::text_list(webhook.events.iter().map(|event| event.as_str()))))
        .bind(new.input.body.blob().map(ToString::to_string))
        .bind(&new.concurrency_key)
        .bind(&new.line);
    query.execute(connection).await.map(drop).map_err(failed_or_rejected)
}

async fn find_key(
    connection: &mut SqliteConnection,
    key: &IdempotencyKey,
    tenant: &TenantName,
    now: i64,
) -> Result<Option<Accepted>, StoreError> {
    let query = sqlx::query(include_str!("sql/find_key.sql")).bind(key.as_str()).bind(tenant.as_str()).bind(now);
    let Some(row) = query.fetch_optional(connection).await.map_err(failed)? else { return Ok(None) };
    let row = Cell::of("idempotency_keys", &row);
    let (first, fingerprint) = (JobId::new(row.get("job_id")?), Fingerprint(row.digest("fingerprint")?));
    Ok(Some(Accepted::Known { first, fingerprint }))
}
