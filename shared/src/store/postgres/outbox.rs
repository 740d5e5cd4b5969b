//! What the relay asks. All of it may be lost in a crash: a dispatch that was published once too often finds nothing
//! to claim.

use std::time::Duration;

use async_trait::async_trait;

use super::database::{Database, Lane};
use super::rows::{Cells, dispatch};
use crate::domain::{Band, Dispatch, DispatchId, KindName, QueueName};
use crate::lifecycle::{Clock, SystemClock};
use crate::store::{Outbox, QueueDepth, StoreError};

/// Jobs of one look for spent dispatches.
const AT_ONCE: i64 = 10_000;

#[async_trait]
impl Outbox for Database {
    async fn take_unpublished(&self, limit: u32, hold: Duration) -> Result<Vec<Dispatch>, StoreError> {
        let query = sqlx::query(include_str!("sql/take_unpublished_dispatches.sql"))
            .bind(i64::from(limit))
            .bind(hold.as_secs_f64())
            .bind(self.floor().begin(SystemClock.monotonic()));
        let rows = self.fetch(Lane::Relaxed, query).await?;
        if let Some(row) = rows.first() {
            let cells = Cells::of("dispatches", row);
            self.floor().found(cells.get("oldest")?, cells.get("newest")?, SystemClock.monotonic());
        }
        // The one row without an id says that there is nothing to take.
        let is_nothing = |row| matches!(Cells::of("dispatches", row).get::<Option<i64>>("id"), Ok(None));
        rows.iter().filter(|row| !is_nothing(*row)).map(dispatch).collect()
    }

    async fn mark_published(&self, ids: &[DispatchId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(include_str!("sql/mark_dispatches_published.sql")).bind(ids.to_vec());
        self.fetch(Lane::Relaxed, query).await.map(|_| ())
    }

    async fn take_lost(
        &self,
        queue: &QueueName,
        band: Band,
        age: Duration,
        limit: u32,
        never_sent: &[KindName],
    ) -> Result<Vec<Dispatch>, StoreError> {
        let query = sqlx::query(include_str!("sql/take_lost_dispatches.sql"))
            .bind(queue.as_str())
            .bind(band.as_i16())
            .bind(age.as_secs_f64())
            .bind(i64::from(limit))
            .bind(never_sent.iter().map(KindName::as_str).collect::<Vec<_>>());
        self.fetch(Lane::Relaxed, query).await?.iter().map(dispatch).collect()
    }

    async fn depths(&self, never_sent: &[KindName]) -> Result<Vec<QueueDepth>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_depths.sql"))
            .bind(never_sent.iter().map(KindName::as_str).collect::<Vec<_>>());
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let first = |row| Cells::of("dispatches", row).get::<Option<i64>>("first");
        let firsts = rows.iter().map(first).collect::<Result<Vec<_>, _>>()?;
        self.spent().counted(firsts.into_iter().flatten().min());
        let depth = |row| {
            let cells = Cells::of("dispatches", row);
            let oldest: Option<i64> = cells.get("oldest_microseconds")?;
            let jobs = cells.number("jobs")?;
            Ok(QueueDepth {
                queue: cells.parse("queue")?,
                band: cells.band()?,
                jobs,
                of_tenants: vec![(cells.tenant()?, jobs)],
                published: cells.number("published")?,
                oldest_published: oldest.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))),
            })
        };
        Ok(QueueDepth::of_queues(rows.iter().map(depth).collect::<Result<_, StoreError>>()?))
    }

    async fn drop_spent(&self) -> Result<u64, StoreError> {
        let query = sqlx::query(include_str!("sql/drop_spent_dispatches.sql")).bind(self.spent().begin()).bind(AT_ONCE);
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let cells = Cells::of("dispatches", row);
        self.spent().came_to(cells.get("next")?);
        cells.number("jobs")
    }
}
