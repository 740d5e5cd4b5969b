//! What the webhooks' courier asks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::Sqlite;
use super::announcements::PROGRESS_APART;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::{Delivery, DeliveryAttempt, DeliveryId, DeliveryState, JobId, Version};
use crate::store::deliveries::kept;
use crate::store::{AfterAttempt, Deliveries, DeliveryClaim, DueDelivery, DuePage, DueReceiver, Room, StoreError};

#[async_trait]
impl Deliveries for Sqlite {
    async fn list_due(&self, after: Option<&str>, limit: u32) -> Result<DuePage, StoreError> {
        let query = sqlx::query(include_str!("sql/list_due_receivers.sql"))
            .bind(after.unwrap_or_default())
            .bind(i64::from(limit))
            .bind(self.now());
        let mut page = DuePage { due: Vec::new(), next: None };
        for row in query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)? {
            let row = Cell::of("deliveries", &row);
            if row.get("is_last")? {
                page.next = Some(row.get("receiver")?);
            }
            if let Some(since) = row.instant("next_at")? {
                let tenant = row.get::<Option<&str>>("tenant")?.is_some().then(|| row.parse("tenant"));
                let (receiver, tenant) = (row.get("receiver")?, tenant.transpose()?);
                page.due.push(DueReceiver { receiver, since, tenant });
            }
        }
        Ok(page)
    }

    async fn claim_due(&self, room: &[Room], hold: Duration) -> Result<Vec<DueDelivery>, StoreError> {
        // Others may have been here first: that is found out without the one writer.
        let found = self.find_due(room).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let mut claimed = Vec::with_capacity(found.len());
        for id in found {
            let (of, version) = id.numbers();
            let query = sqlx::query(include_str!("sql/claim_delivery.sql"))
                .bind(of)
                .bind(version)
                .bind(now)
                .bind(rows::later(now, hold));
            claimed.extend(query.fetch_optional(&mut *write).await.map_err(failed)?.as_ref().map(due).transpose()?);
        }
        write.commit().await?;
        Ok(claimed)
    }

    async fn record_attempt(
        &self,
        claim: DeliveryClaim,
        attempt: Option<&DeliveryAttempt>,
        after: AfterAttempt,
    ) -> Result<bool, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let recorded = record(&mut write, claim, attempt, after, self.now()).await?;
        write.commit().await?;
        Ok(recorded)
    }

    async fn record_told_progress(
        &self,
        claim: DeliveryClaim,
        attempt: &DeliveryAttempt,
        told: Version,
    ) -> Result<bool, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let delivered = AfterAttempt::Over(DeliveryState::Delivered);
        let recorded = record(&mut write, claim, Some(attempt), delivered, now).await?;
        if recorded {
            let (of, version) = claim.id.numbers();
            let query = sqlx::query(include_str!("sql/renew_progress_delivery.sql"))
                .bind(of)
                .bind(version)
                .bind(told)
                .bind(now)
                .bind(rows::span(PROGRESS_APART));
            query.execute(&mut *write).await.map_err(failed)?;
        }
        write.commit().await?;
        Ok(recorded)
    }

    async fn list_deliveries(
        &self,
        job: JobId,
        before: Option<Version>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_deliveries.sql"))
            .bind(job.as_uuid())
            .bind(before.unwrap_or(Version::MAX))
            .bind(i64::from(limit));
        let found = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        found.iter().map(delivery).collect()
    }

    async fn find_delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let (of, version) = id.numbers();
        let query = sqlx::query(include_str!("sql/find_delivery.sql")).bind(of).bind(version);
        let found = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        found.as_ref().map(delivery).transpose()
    }

    async fn redeliver(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let (of, version) = id.numbers();
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/redeliver.sql")).bind(of).bind(version).bind(self.now());
        let found = query.fetch_optional(&mut *write).await.map_err(failed)?;
        let found = found.as_ref().map(delivery).transpose()?;
        write.commit().await?;
        Ok(found)
    }
}

impl Sqlite {
    /// What there is room for of what is due.
    async fn find_due(&self, room: &[Room]) -> Result<Vec<DeliveryId>, StoreError> {
        let mut reader = self.file.reader().await?;
        let now = self.now();
        let mut found = Vec::new();
        for of in room {
            let query = sqlx::query(include_str!("sql/find_due_deliveries.sql"))
                .bind(&of.receiver)
                .bind(now)
                .bind(i64::from(of.deliveries));
            for row in query.fetch_all(&mut *reader).await.map_err(failed)? {
                found.push(id(&Cell::of("deliveries", &row))?);
            }
        }
        Ok(found)
    }
}

/// Whether it was recorded: the claim may have ended.
async fn record(
    connection: &mut SqliteConnection,
    claim: DeliveryClaim,
    attempt: Option<&DeliveryAttempt>,
    after: AfterAttempt,
    now: i64,
) -> Result<bool, StoreError> {
    let (state, pause) = kept(after);
    let json = attempt.map(serde_json::to_string).transpose();
    let json = json.map_err(|error| StoreError::Rejected(Arc::new(error)))?;
    let (of, version) = claim.id.numbers();
    let query = sqlx::query(include_str!("sql/record_delivery_attempt.sql"))
        .bind(of)
        .bind(version)
        .bind(claim.number)
        .bind(state.as_str())
        .bind(pause.map(|pause| rows::later(now, pause)))
        .bind(attempt.and_then(|attempt| attempt.status))
        .bind(json)
        .bind(rows::whole(DeliveryAttempt::KEPT));
    Ok(query.execute(connection).await.map_err(failed)?.rows_affected() > 0)
}

fn id(row: &Cell<'_>) -> Result<DeliveryId, StoreError> {
    Ok(DeliveryId::of_numbers(row.get::<Uuid>("job_id")?, row.number("version")?))
}

fn due(row: &SqliteRow) -> Result<DueDelivery, StoreError> {
    let row = Cell::of("deliveries", row);
    Ok(DueDelivery {
        claim: DeliveryClaim { id: id(&row)?, number: row.number("claims")? },
        event: row.parse("event")?,
        receiver: row.get("receiver")?,
        created_at: created_at(&row)?,
        tries: row.number("tries")?,
    })
}

fn delivery(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let row = Cell::of("deliveries", row);
    Ok(Delivery {
        id: id(&row)?,
        event: row.parse("event")?,
        created_at: created_at(&row)?,
        state: row.parse("state")?,
        attempts: row.number("attempts")?,
        next_attempt_at: row.instant("next_at")?,
        history: row.json("history")?.unwrap_or_default(),
    })
}

fn created_at(row: &Cell<'_>) -> Result<crate::domain::Timestamp, StoreError> {
    row.instant("created_at")?.ok_or_else(|| row.inconsistent("created_at", "is missing"))
}
