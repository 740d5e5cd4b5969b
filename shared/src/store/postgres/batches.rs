//! Batches: kept whole, counted by whoever ends their jobs.
//!
//! To accept one takes several statements, so it is a transaction: the only one that requests make.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout_at;
use uuid::Uuid;

use super::accept::{Acceptance, BATCH_KEY_WAIT, KEY_WAIT};
use super::accept_statement::LONGEST_RETENTION;
use super::database::{Database, Lane};
use super::refusal::{is_lock_timeout, may_be_one_row, refusal, timed_out};
use super::rows::{Cells, change};
use crate::domain::{
    Batch, BatchCounts, BatchId, BatchWebhook, CallbackUrl, Fingerprint, JobId, NewBatch, NewJob, Status, TenantName,
};
use crate::store::batches::{job_of_item, made};
use crate::store::{AcceptedWhole, Batches, CanceledWhole, StoreError};

/// How jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// All in one statement.
    Together,
    /// Each in one of its own that can fail alone: something was wrong with one of them.
    Apart,
}

async fn accept_whole(database: &Database, batch: &NewBatch, care: Care) -> Result<AcceptedWhole, sqlx::Error> {
    let deadline = database.deadline();
    let work = async {
        let mut loan = database.lend_durable(deadline).await?;
        let mut transaction = loan.connection.begin().await?;
        if let Some((first, fingerprint)) = open(&mut transaction, batch).await? {
            transaction.rollback().await?;
            loan.give_back();
            return Ok(AcceptedWhole::Known { first, fingerprint });
        }
        let jobs: Vec<NewJob> = batch.jobs.iter().map(|(_, job)| job.clone()).collect();
        let accepted = {
            let acceptance = Acceptance::within(&mut transaction, &jobs, database.timeout());
            match care {
                Care::Together => acceptance.keep_in_transaction(BATCH_KEY_WAIT).await?,
                Care::Apart => acceptance.keep_apart().await?,
            }
        };
        let mut items: Vec<Option<Uuid>> = vec![None; batch.items];
        for ((place, job), answer) in batch.jobs.iter().zip(&accepted.answers) {
            if let Some(item) = items.get_mut(*place) {
                *item = job_of_item(job, answer).map(JobId::as_uuid);
            }
        }
        let total = made(&accepted.answers);
        if total > 0 {
            let total = i32::try_from(total).unwrap_or(i32::MAX);
            let fill = sqlx::query(include_str!("sql/fill_batch.sql")).bind(batch.id.as_uuid()).bind(items).bind(total);
            let fill = fill.bind(batch.webhook.as_ref().map(CallbackUrl::as_str));
            fill.execute(&mut *transaction).await?;
            transaction.commit().await?;
        } else {
            // Nothing was kept: the batch goes as well.
            transaction.rollback().await?;
        }
        loan.give_back();
        Ok(AcceptedWhole::New { answers: accepted.answers, dispatches: accepted.dispatches })
    };
    timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(timed_out()))
}

/// Opens a batch, or finds the one that holds its key.
async fn open(connection: &mut PgConnection, batch: &NewBatch) -> Result<Option<(BatchId, Fingerprint)>, sqlx::Error> {
    let retention = batch.retention.as_secs() + u64::from(batch.retention.subsec_nanos() > 0);
    for _ in 0..2 {
        let opened = sqlx::query(include_str!("sql/accept_batch.sql"))
            .bind(batch.id.as_uuid())
            .bind(batch.tenant.as_str())
            .bind(batch.idempotency.as_ref().map(|idempotency| idempotency.key.as_str()))
            .bind(batch.idempotency.as_ref().map(|idempotency| idempotency.fingerprint.0.as_slice()))
            .bind(retention.min(LONGEST_RETENTION).cast_signed())
            .bind(KEY_WAIT.as_millis().to_string())
            .fetch_optional(&mut *connection)
            .await?;
        let Some(idempotency) = batch.idempotency.as_ref().filter(|_| opened.is_none()) else { return Ok(None) };
        let held = sqlx::query(include_str!("sql/find_batch_of_key.sql"))
            .bind(idempotency.key.as_str())
            .bind(batch.tenant.as_str())
            .fetch_optional(&mut *connection)
            .await?;
        // Gone since: its key is free.
        let Some(row) = held else { continue };
        let cells = Cells::of("batches", &row);
        let read = || {
            let fingerprint = Fingerprint(cells.digest("fingerprint")?);
            Ok::<_, StoreError>((BatchId::new(cells.get("id")?), fingerprint, cells.get::<bool>("stale")?))
        };
        let (first, fingerprint, stale) = read().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        if !stale {
            return Ok(Some((first, fingerprint)));
        }
        sqlx::query(include_str!("sql/delete_batch.sql")).bind(first.as_uuid()).execute(&mut *connection).await?;
    }
    // Somebody was quicker twice.
    Err(timed_out())
}

fn count(cells: &Cells<'_>, column: &'static str) -> Result<u32, StoreError> {
    u32::try_from(cells.get::<i32>(column)?).map_err(|error| cells.wrong(column, error))
}

fn batch(row: &PgRow) -> Result<Batch, StoreError> {
    let cells = Cells::of("batches", row);
    Ok(Batch {
        id: BatchId::new(cells.get("id")?),
        tenant: cells.parse("tenant")?,
        key: cells.get("key")?,
        total: count(&cells, "total")?,
        counts: BatchCounts {
            scheduled: count(&cells, "scheduled")?,
            queued: count(&cells, "queued")?,
            in_progress: count(&cells, "in_progress")?,
            retrying: count(&cells, "retrying")?,
            succeeded: count(&cells, "succeeded")?,
            failed: count(&cells, "failed")?,
            canceled: count(&cells, "canceled")?,
            expired: count(&cells, "expired")?,
        },
        last_live: cells.get::<Option<Uuid>>("last_live")?.map(JobId::new),
        cancel_requested_at: cells.get("cancel_requested_at")?,
        finished_at: cells.get("finished_at")?,
        expires_at: cells.get("expires_at")?,
        webhook: webhook(&cells)?,
    })
}

fn webhook(cells: &Cells<'_>) -> Result<Option<BatchWebhook>, StoreError> {
    if cells.get::<Option<&str>>("webhook_url")?.is_none() {
        return Ok(None);
    }
    Ok(Some(BatchWebhook { url: cells.parse("webhook_url")?, summary: cells.optional_json("deliveries")? }))
}

#[async_trait]
impl Batches for Database {
    async fn accept_batch(&self, batch: NewBatch) -> Result<AcceptedWhole, StoreError> {
        match accept_whole(self, &batch, Care::Together).await {
            Err(error) if may_be_one_row(&error) => {
                tracing::debug!(%error, jobs = batch.jobs.len(), "a batch failed, trying each of its jobs apart");
                accept_whole(self, &batch, Care::Apart).await.map_err(|error| {
                    if batch.idempotency.is_some() && is_lock_timeout(&error) {
                        StoreError::KeyInFlight
                    } else {
                        refusal(error)
                    }
                })
            }
            accepted => accepted.map_err(refusal),
        }
    }

    async fn find_batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_batch.sql")).bind(id.as_uuid());
        self.fetch(Lane::Relaxed, query).await?.first().map(batch).transpose()
    }

    async fn find_batch_items(&self, id: BatchId) -> Result<Vec<Option<JobId>>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_batch_items.sql")).bind(id.as_uuid());
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let items: Vec<Option<Uuid>> = Cells::of("batches", row).get("items")?;
        Ok(items.into_iter().map(|id| id.map(JobId::new)).collect())
    }

    async fn cancel_batch(
        &self,
        tenant: &TenantName,
        id: BatchId,
        reason: Option<&str>,
        grace: Duration,
    ) -> Result<CanceledWhole, StoreError> {
        let note = sqlx::query(include_str!("sql/note_batch_cancel.sql")).bind(id.as_uuid()).bind(tenant.as_str());
        self.fetch(Lane::Durable, note).await?;
        let query = sqlx::query(include_str!("sql/cancel_batch.sql"))
            .bind(id.as_uuid())
            .bind(reason)
            .bind(grace.as_secs_f64())
            .bind(tenant.as_str());
        let rows = self.fetch(Lane::Durable, query).await?;
        let changes = rows.iter().map(change).collect::<Result<Vec<_>, _>>()?;
        let (canceled, asked) = changes.into_iter().partition(|change| change.status == Status::Canceled);
        Ok(CanceledWhole { canceled, asked })
    }
}
