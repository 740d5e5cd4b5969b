//! What the repair loops ask.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::database::{Database, Lane};
use super::partitions;
use super::refusal::{is_lock_conflict, is_missing_reference, refusal};
use super::retention;
use super::rows::{Cells, blob_owner, change_of, id_range, millis, numbered_dispatch};
use crate::domain::{BlobOwner, JobId, Timestamp};
use crate::lifecycle::{Clock, SystemClock};
use crate::store::{Moved, Schema, StoreError, Upkeep};

/// Reads what a repair moved, and how much it had taken up to do so.
fn moved(rows: &[PgRow]) -> Result<(Moved, i64), StoreError> {
    let mut moved = Moved::default();
    let mut taken = 0;
    for row in rows {
        let cells = Cells::of("jobs", row);
        if let Some(job) = cells.get("job")? {
            moved.changes.push(change_of(&cells, job)?);
        } else if let Some(dispatch) = cells.get("dispatch")? {
            moved.dispatches.push(numbered_dispatch(&Cells::of("dispatches", row), dispatch)?);
        } else {
            taken = cells.get("taken")?;
        }
    }
    Ok((moved, taken))
}

/// The server was away, though it answers: it has taken far too long to begin.
#[derive(Debug, thiserror::Error)]
#[error("the server was away, and began only now to look for dead workers")]
struct WasAway;

/// A server that is there begins with what it is sent long before. A worker that is not answered for so long makes itself a new
/// connection, and its session lock is free meanwhile.
const BEGINS_WITHIN: Duration = Duration::from_secs(2);

/// Whether this row of a look for dead workers tells the server's time.
fn tells_time(row: &PgRow) -> bool {
    matches!(Cells::of("clock_timestamp", row).get::<Option<Timestamp>>("time"), Ok(Some(_)))
}

impl Database {
    /// Notes the time that the server told. True: what it answers came too late to it.
    fn note_time(&self, told: &[PgRow]) -> Result<bool, StoreError> {
        let Some(row) = told.first() else { return Ok(false) };
        let cells = Cells::of("clock_timestamp", row);
        self.server_time.note(SystemClock.monotonic(), cells.get("time")?);
        cells.get("is_late")
    }
}

#[async_trait]
impl Upkeep for Database {
    async fn fire_timers(&self, limit: u32) -> Result<Moved, StoreError> {
        let query = sqlx::query(include_str!("sql/fire_timers.sql")).bind(i64::from(limit));
        let (moved, taken) = moved(&self.fetch(Lane::Durable, query).await?)?;
        Ok(Moved { more: taken > 0 && taken == i64::from(limit), ..moved })
    }

    async fn next_timer(&self) -> Result<Option<Duration>, StoreError> {
        let rows = self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/find_next_timer.sql"))).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let micros: Option<i64> = Cells::of("timers", row).get("microseconds")?;
        Ok(micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
    }

    async fn rescue_dead_worker(
        &self,
        max_crashes: i32,
        store_up_for: Option<Duration>,
        listening_for: Duration,
    ) -> Result<Option<Moved>, StoreError> {
        let sent = match self.server_time.at(SystemClock.monotonic()) {
            Some(time) => time,
            None => self.time().await?,
        };
        let query = sqlx::query(include_str!("sql/rescue_dead_worker.sql"))
            .bind(max_crashes)
            .bind(store_up_for.map(millis))
            .bind(millis(listening_for))
            .bind(sent)
            .bind(millis(BEGINS_WITHIN));
        match self.fetch_until(self.deadline(), Lane::Durable, query).await {
            Ok(rows) => {
                let (told, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(tells_time);
                if self.note_time(&told)? {
                    return Err(StoreError::unavailable(WasAway));
                }
                if rows.is_empty() { Ok(None) } else { Ok(Some(Moved { more: true, ..moved(&rows)?.0 })) }
            }
            // It is claiming in this very moment: nothing was moved, and the next look will find what it took.
            Err(error) if is_missing_reference(&error) => Ok(Some(Moved { more: true, ..Moved::default() })),
            // Somebody is at its jobs in this very moment: the next look decides. The store is there, which an error would put in
            // doubt, and with it every death for a lease.
            Err(error) if is_lock_conflict(&error) => {
                tracing::debug!(%error, "a rescue met others at the same jobs, and will be tried again");
                Ok(None)
            }
            Err(error) => Err(refusal(error)),
        }
    }

    async fn remove_expired(&self) -> Result<bool, StoreError> {
        retention::remove_expired(self).await
    }

    async fn list_blob_owners(&self, jobs: &[JobId]) -> Result<Vec<BlobOwner>, StoreError> {
        let ids: Vec<Uuid> = jobs.iter().map(|id| id.as_uuid()).collect();
        let (first, last) = id_range(&ids);
        let query = sqlx::query(include_str!("sql/list_blob_owners.sql")).bind(ids).bind(first).bind(last);
        self.fetch(Lane::Relaxed, query).await?.iter().map(blob_owner).collect()
    }

    async fn find_blob_owner(&self) -> Result<Option<JobId>, StoreError> {
        let rows = self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/find_blob_owner.sql"))).await?;
        rows.first().map(|row| Cells::of_job(row).map(|(_, id)| id)).transpose()
    }

    async fn prepare_partitions(&self) -> Result<(), StoreError> {
        partitions::prepare(self).await
    }
}
