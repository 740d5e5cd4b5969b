//! Announcing: an event becomes a delivery in the transaction that makes it, when the job's client wants to hear of it.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::{CallbackUrl, DeliveryId, DeliveryState, Event, JobId, Version, Webhook};
use crate::store::StoreError;

/// Of the progress that webhooks are told there is one delivery in this time at most.
pub(super) const PROGRESS_APART: Duration = Duration::from_secs(1);

/// Records that an event is to be told.
pub(super) async fn announce(
    connection: &mut SqliteConnection,
    job: JobId,
    version: Version,
    event: Event,
    webhook: Option<&Webhook>,
    due_at: i64,
) -> Result<(), StoreError> {
    let Some(webhook) = webhook.filter(|webhook| webhook.events.contains(&event)) else { return Ok(()) };
    insert_delivery(connection, DeliveryId::Job { id: job, version }, event, &webhook.url, due_at).await
}

/// Records a delivery.
pub(super) async fn insert_delivery(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    event: Event,
    url: &CallbackUrl,
    due_at: i64,
) -> Result<(), StoreError> {
    let (of, version) = id.numbers();
    let query = sqlx::query(include_str!("sql/insert_delivery.sql"))
        .bind(of)
        .bind(version)
        .bind(event.as_str())
        .bind(url.authority())
        .bind(due_at);
    query.execute(connection).await.map(drop).map_err(failed)
}

/// The same for progress: one delivery at a time, and one a second. What is sent is the job as it is by then, so a delivery
/// that waits tells of this progress too, and one that is through makes way.
pub(super) async fn announce_progress(
    connection: &mut SqliteConnection,
    job: JobId,
    version: Version,
    webhook: Option<&Webhook>,
    now: i64,
) -> Result<(), StoreError> {
    if webhook.is_none_or(|webhook| !webhook.events.contains(&Event::Progress)) {
        return Ok(());
    }
    let query = sqlx::query(include_str!("sql/find_progress_delivery.sql")).bind(job.as_uuid());
    let mut due_at = now;
    if let Some(row) = query.fetch_optional(&mut *connection).await.map_err(failed)? {
        let before = Cell::of("deliveries", &row);
        if before.parse::<DeliveryState>("state")? == DeliveryState::Pending {
            return Ok(());
        }
        due_at = now.max(rows::later(before.get("created_at")?, PROGRESS_APART));
        let query = sqlx::query(include_str!("sql/delete_delivery.sql"))
            .bind(job.as_uuid())
            .bind(before.number::<Version>("version")?);
        query.execute(&mut *connection).await.map_err(failed)?;
    }
    announce(connection, job, version, Event::Progress, webhook, due_at).await
}
