//! What the webhooks' courier asks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::database::{Database, Lane};
use super::rows::{Cells, millis};
use crate::domain::{Delivery, DeliveryAttempt, DeliveryId, JobId, Version};
use crate::store::deliveries::kept;
use crate::store::{AfterAttempt, Deliveries, DeliveryClaim, DueDelivery, DuePage, DueReceiver, Room, StoreError};

/// A list's or a count's size as the statements want it.
fn whole(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn id(cells: &Cells<'_>) -> Result<DeliveryId, StoreError> {
    Ok(DeliveryId::of_numbers(cells.get("job_id")?, cells.get("version")?))
}

fn due(row: &PgRow) -> Result<DueDelivery, StoreError> {
    let cells = Cells::of("deliveries", row);
    let tries: i32 = cells.get("tries")?;
    Ok(DueDelivery {
        claim: DeliveryClaim { id: id(&cells)?, number: cells.get("claims")? },
        event: cells.parse("event")?,
        receiver: cells.get("receiver")?,
        created_at: cells.get("created_at")?,
        tries: usize::try_from(tries).map_err(|error| cells.wrong("tries", error))?,
    })
}

fn delivery(row: &PgRow) -> Result<Delivery, StoreError> {
    let cells = Cells::of("deliveries", row);
    let history = cells.get::<Vec<String>>("history")?;
    Ok(Delivery {
        id: id(&cells)?,
        event: cells.parse("event")?,
        created_at: cells.get("created_at")?,
        state: cells.parse("state")?,
        attempts: cells.get("attempts")?,
        next_attempt_at: cells.get("next_at")?,
        history: history.iter().map(|text| cells.json("history", text)).collect::<Result<_, _>>()?,
    })
}

#[async_trait]
impl Deliveries for Database {
    async fn list_due(&self, after: Option<&str>, limit: u32) -> Result<DuePage, StoreError> {
        let query = sqlx::query(include_str!("sql/list_due_receivers.sql"))
            .bind(after.unwrap_or_default())
            .bind(i32::try_from(limit).unwrap_or(i32::MAX));
        let mut page = DuePage { due: Vec::new(), next: None };
        for row in self.fetch(Lane::Relaxed, query).await? {
            let cells = Cells::of("deliveries", &row);
            if cells.get("is_last")? {
                page.next = Some(cells.get("receiver")?);
            }
            if let Some(since) = cells.get("next_at")? {
                let tenant = cells.get::<Option<&str>>("tenant")?.is_some().then(|| cells.parse("tenant"));
                let (receiver, tenant) = (cells.get("receiver")?, tenant.transpose()?);
                page.due.push(DueReceiver { receiver, since, tenant });
            }
        }
        Ok(page)
    }

    async fn claim_due(&self, room: &[Room], hold: Duration) -> Result<Vec<DueDelivery>, StoreError> {
        if room.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query(include_str!("sql/claim_due_deliveries.sql"))
            .bind(room.iter().map(|of| of.receiver.as_str()).collect::<Vec<_>>())
            .bind(room.iter().map(|of| i32::try_from(of.deliveries).unwrap_or(i32::MAX)).collect::<Vec<_>>())
            .bind(millis(hold));
        // May be lost in a crash: what was sent under the claim is sent again.
        self.fetch(Lane::Relaxed, query).await?.iter().map(due).collect()
    }

    async fn record_attempt(
        &self,
        claim: DeliveryClaim,
        attempt: Option<&DeliveryAttempt>,
        after: AfterAttempt,
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
            .bind(pause.map(millis))
            .bind(attempt.and_then(|attempt| attempt.status).map(i32::from))
            .bind(json)
            .bind(whole(DeliveryAttempt::KEPT));
        Ok(!self.fetch(Lane::Durable, query).await?.is_empty())
    }

    async fn record_told_progress(
        &self,
        claim: DeliveryClaim,
        attempt: &DeliveryAttempt,
        told: Version,
    ) -> Result<bool, StoreError> {
        let json = serde_json::to_string(attempt).map_err(|error| StoreError::Rejected(Arc::new(error)))?;
        let (of, version) = claim.id.numbers();
        let query = sqlx::query(include_str!("sql/record_told_progress.sql"))
            .bind(of)
            .bind(version)
            .bind(claim.number)
            .bind(told)
            .bind(attempt.status.map(i32::from))
            .bind(json)
            .bind(whole(DeliveryAttempt::KEPT));
        Ok(!self.fetch(Lane::Durable, query).await?.is_empty())
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
        self.fetch(Lane::Relaxed, query).await?.iter().map(delivery).collect()
    }

    async fn find_delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let (of, version) = id.numbers();
        let query = sqlx::query(include_str!("sql/find_delivery.sql")).bind(of).bind(version);
        self.fetch(Lane::Relaxed, query).await?.first().map(delivery).transpose()
    }

    async fn redeliver(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let (of, version) = id.numbers();
        let query = sqlx::query(include_str!("sql/redeliver.sql")).bind(of).bind(version);
        self.fetch(Lane::Durable, query).await?.first().map(delivery).transpose()
    }
}
