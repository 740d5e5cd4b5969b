//! Batches: kept whole, counted by whoever ends their jobs.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::Sqlite;
use super::accept::check_texts;
use super::announcements::insert_delivery;
use super::file::failed;
use super::jobs::cancel;
use super::moves::lock_jobs;
use super::rows::{self, Cell};
use crate::domain::{
    Batch, BatchCounts, BatchId, BatchWebhook, CallbackUrl, DeliveryId, Event, Fingerprint, JobId, NewBatch, NewJob,
    Status, TenantName,
};
use crate::store::batches::{job_of_item, made};
use crate::store::{Accepted, AcceptedWhole, Batches, Canceled, CanceledWhole, StoreError};

/// Counts the end of a job of a batch. The end of the last one is an event.
pub(super) async fn count_end(
    connection: &mut SqliteConnection,
    batch: Uuid,
    status: Status,
    now: i64,
) -> Result<(), StoreError> {
    let query = sqlx::query(include_str!("sql/count_end.sql")).bind(batch).bind(status.as_str()).bind(now);
    let Some(row) = query.fetch_optional(&mut *connection).await.map_err(failed)? else { return Ok(()) };
    let row = Cell::of("batches", &row);
    match webhook_url(&row)? {
        Some(url) if row.instant("finished_at")?.is_some() => {
            let id = DeliveryId::Batch(BatchId::new(batch));
            insert_delivery(connection, id, Event::BatchCompleted, &url, now).await
        }
        _ => Ok(()),
    }
}

fn webhook_url(row: &Cell<'_>) -> Result<Option<CallbackUrl>, StoreError> {
    let there = row.get::<Option<&str>>("webhook_url")?.is_some();
    there.then(|| row.parse("webhook_url")).transpose()
}

/// The live jobs of a batch, in order, and where each stands.
async fn live_jobs(connection: &mut SqliteConnection, id: BatchId) -> Result<Vec<(JobId, Status)>, StoreError> {
    let query = sqlx::query(include_str!("sql/find_live_of_batch.sql")).bind(id.as_uuid());
    let found = query.fetch_all(connection).await.map_err(failed)?;
    found.iter().map(|row| Ok((rows::id_of(row)?, Cell::of("jobs", row).parse("status")?))).collect()
}

/// Deletes the deliveries of batches that were deleted.
pub(super) async fn delete_deliveries(connection: &mut SqliteConnection, gone: &[SqliteRow]) -> Result<(), StoreError> {
    if gone.is_empty() {
        return Ok(());
    }
    let gone = gone.iter().map(rows::id_of).collect::<Result<Vec<_>, _>>()?;
    let query = sqlx::query(include_str!("sql/delete_batch_deliveries.sql")).bind(rows::id_list(gone));
    query.execute(connection).await.map(drop).map_err(failed)
}

fn items(batch: &NewBatch, answers: &[Result<Accepted, StoreError>]) -> (String, i64) {
    let mut items = vec![serde_json::Value::Null; batch.items];
    for ((place, job), answer) in batch.jobs.iter().zip(answers) {
        if let (Some(item), Some(kept)) = (items.get_mut(*place), job_of_item(job, answer)) {
            *item = kept.as_uuid().simple().to_string().into();
        }
    }
    (serde_json::Value::from(items).to_string(), rows::whole(made(answers)))
}

#[async_trait]
impl Batches for Sqlite {
    async fn accept_batch(&self, batch: NewBatch) -> Result<AcceptedWhole, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        if let Some(idempotency) = &batch.idempotency {
            let (key, tenant) = (idempotency.key.as_str(), batch.tenant.as_str());
            let query = sqlx::query(include_str!("sql/find_batch_of_key.sql")).bind(key).bind(tenant).bind(now);
            if let Some(row) = query.fetch_optional(&mut *write).await.map_err(failed)? {
                let row = Cell::of("batches", &row);
                let (first, fingerprint) = (BatchId::new(row.get("id")?), Fingerprint(row.digest("fingerprint")?));
                return Ok(AcceptedWhole::Known { first, fingerprint });
            }
            let query = sqlx::query(include_str!("sql/delete_batch_of_key.sql")).bind(key).bind(tenant);
            let gone = query.fetch_all(&mut *write).await.map_err(failed)?;
            delete_deliveries(&mut write, &gone).await?;
        }
        let jobs: Vec<NewJob> = batch.jobs.iter().map(|(_, job)| job.clone()).collect();
        let accepted = super::accept::accept_all(&mut write, &jobs, now).await?;
        let (items, total) = items(&batch, &accepted.answers);
        if total > 0 {
            let query = sqlx::query(include_str!("sql/accept_batch.sql"))
                .bind(batch.id.as_uuid())
                .bind(batch.tenant.as_str())
                .bind(batch.idempotency.as_ref().map(|idempotency| idempotency.key.as_str()))
                .bind(batch.idempotency.as_ref().map(|idempotency| &idempotency.fingerprint.0[..]))
                .bind(rows::whole(batch.retention.as_secs()))
                .bind(total)
                .bind(items)
                .bind(batch.webhook.as_ref().map(CallbackUrl::as_str));
            query.execute(&mut *write).await.map_err(failed)?;
            write.commit().await?;
        }
        Ok(AcceptedWhole::New { answers: accepted.answers, dispatches: accepted.dispatches })
    }

    async fn find_batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let mut reader = self.file.reader().await?;
        let query = sqlx::query(include_str!("sql/find_batch.sql")).bind(id.as_uuid()).bind(self.now());
        let Some(row) = query.fetch_optional(&mut *reader).await.map_err(failed)? else { return Ok(None) };
        let row = Cell::of("batches", &row);
        let live = live_jobs(&mut reader, id).await?;
        let count = |status| u32::try_from(live.iter().filter(|(_, at)| *at == status).count()).unwrap_or(u32::MAX);
        Ok(Some(Batch {
            id,
            tenant: row.parse("tenant")?,
            key: row.get("key")?,
            total: row.number("total")?,
            counts: BatchCounts {
                scheduled: count(Status::Scheduled),
                queued: count(Status::Queued),
                in_progress: count(Status::InProgress),
                retrying: count(Status::Retrying),
                succeeded: row.number("succeeded")?,
                failed: row.number("failed")?,
                canceled: row.number("canceled")?,
                expired: row.number("expired")?,
            },
            last_live: live.last().map(|(job, _)| *job),
            cancel_requested_at: row.instant("cancel_requested_at")?,
            finished_at: row.instant("finished_at")?,
            expires_at: row.instant("expires_at")?,
            webhook: match webhook_url(&row)? {
                Some(url) => Some(BatchWebhook { url, summary: row.json("deliveries")? }),
                None => None,
            },
        }))
    }

    async fn find_batch_items(&self, id: BatchId) -> Result<Vec<Option<JobId>>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_batch_items.sql")).bind(id.as_uuid()).bind(self.now());
        let found = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        let Some(row) = found else { return Ok(Vec::new()) };
        let items: Vec<Option<Uuid>> = Cell::of("batches", &row).json("items")?.unwrap_or_default();
        Ok(items.into_iter().map(|id| id.map(JobId::new)).collect())
    }

    async fn cancel_batch(
        &self,
        tenant: &TenantName,
        id: BatchId,
        reason: Option<&str>,
        grace: Duration,
    ) -> Result<CanceledWhole, StoreError> {
        check_texts(reason)?;
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.clock.now();
        let query = sqlx::query(include_str!("sql/note_batch_cancel.sql"))
            .bind(id.as_uuid())
            .bind(tenant.as_str())
            .bind(rows::micros(now));
        query.execute(&mut *write).await.map_err(failed)?;
        let mut whole = CanceledWhole::default();
        let live: Vec<JobId> = live_jobs(&mut write, id).await?.into_iter().map(|(job, _)| job).collect();
        let mut jobs = lock_jobs(&mut write, live.iter().copied()).await?;
        for job in live.iter().filter_map(|job| jobs.remove(job)).filter(|job| job.is_of(tenant)) {
            let mut job = job;
            let asked_before = job.state.cancel_requested;
            match cancel(&mut write, &mut job, reason, grace, now).await? {
                Canceled::Now(change) => whole.canceled.push(change),
                Canceled::Asked(change) if !asked_before => whole.asked.push(change),
                Canceled::Asked(_) | Canceled::Already | Canceled::TooLate | Canceled::Unknown => {}
            }
        }
        write.commit().await?;
        Ok(whole)
    }
}
