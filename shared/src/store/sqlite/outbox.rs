//! What the relay asks.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::Sqlite;
use super::dispatches::PUBLISH_WITHIN;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::{Band, Dispatch, DispatchId, KindName, QueueName};
use crate::store::{Outbox, QueueDepth, StoreError};

/// A dispatch is published again after no longer than this (or than the age asked for, if that is longer), however
/// often it was published before.
const LONGEST_DISTANCE: Duration = Duration::from_mins(5);

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

#[async_trait]
impl Outbox for Sqlite {
    async fn take_unpublished(&self, limit: u32, hold: Duration) -> Result<Vec<Dispatch>, StoreError> {
        let now = self.now();
        let query = sqlx::query(include_str!("sql/take_unpublished_dispatches.sql"))
            .bind(now)
            .bind(rows::later(now, hold))
            .bind(i64::from(limit));
        self.take_dispatches(query).await
    }

    async fn mark_published(&self, ids: &[DispatchId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/mark_dispatches_published.sql"))
            .bind(serde_json::Value::from(ids).to_string())
            .bind(self.now());
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }

    async fn take_lost(
        &self,
        queue: &QueueName,
        band: Band,
        age: Duration,
        limit: u32,
        never_sent: &[KindName],
    ) -> Result<Vec<Dispatch>, StoreError> {
        let now = self.now();
        let query = sqlx::query(include_str!("sql/take_lost_dispatches.sql"))
            .bind(queue.to_string())
            .bind(band.as_i16())
            .bind(now)
            .bind(rows::span(age))
            .bind(rows::span(age.max(LONGEST_DISTANCE)))
            .bind(i64::from(limit))
            .bind(rows::later(now, PUBLISH_WITHIN))
            .bind(rows::text_list(never_sent.iter().map(KindName::as_str)));
        self.take_dispatches(query).await
    }

    async fn depths(&self, never_sent: &[KindName]) -> Result<Vec<QueueDepth>, StoreError> {
        let now = self.now();
        let query = sqlx::query(include_str!("sql/find_depths.sql"))
            .bind(rows::text_list(never_sent.iter().map(KindName::as_str)));
        let depths = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        Ok(QueueDepth::of_queues(depths.iter().map(|row| depth(row, now)).collect::<Result<_, _>>()?))
    }

    async fn drop_spent(&self) -> Result<u64, StoreError> {
        self.drop_spent_dispatches().await
    }
}

impl Sqlite {
    /// Takes what a statement marks as taken, oldest first.
    async fn take_dispatches(&self, query: Query) -> Result<Vec<Dispatch>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let taken = query.fetch_all(&mut *write).await.map_err(failed)?;
        let mut dispatches = taken.iter().map(rows::dispatch).collect::<Result<Vec<_>, _>>()?;
        write.commit().await?;
        dispatches.sort_unstable_by_key(|dispatch| dispatch.id);
        Ok(dispatches)
    }
}

fn depth(row: &SqliteRow, now: i64) -> Result<QueueDepth, StoreError> {
    let row = Cell::of("dispatches", row);
    let oldest: Option<i64> = row.get("oldest")?;
    let jobs = row.number("jobs")?;
    Ok(QueueDepth {
        queue: row.parse("queue")?,
        band: rows::band(&row)?,
        jobs,
        of_tenants: vec![(rows::tenant(&row)?, jobs)],
        published: row.number("published")?,
        oldest_published: oldest.map(|at| rows::until(at, now)),
    })
}
