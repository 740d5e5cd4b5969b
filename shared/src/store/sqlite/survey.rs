//! Samples that estimates are made of.

use async_trait::async_trait;
use uuid::Uuid;

use super::Sqlite;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::JobId;
use crate::store::StoreError;
use crate::store::survey::{RecentRun, Survey, WaitingBatch};

#[async_trait]
impl Survey for Sqlite {
    async fn list_recent_runs(&self, limit: u32) -> Result<Vec<RecentRun>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_recent_runs.sql")).bind(i64::from(limit.max(1)));
        let found = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        let run = |row| {
            let row = Cell::of_job(row, rows::id_of(row)?);
            let instant = |column| row.instant(column)?.ok_or_else(|| row.inconsistent(column, "is missing"));
            Ok(RecentRun {
                kind: row.parse("kind")?,
                queue: row.parse("queue")?,
                started_at: instant("started_at")?,
                finished_at: instant("finished_at")?,
            })
        };
        found.iter().map(run).collect()
    }

    async fn list_waiting(&self, limit: u32) -> Result<Vec<WaitingBatch>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_waiting.sql")).bind(i64::from(limit));
        let found = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        let batch = |row| {
            let row = Cell::of("dispatches", row);
            Ok(WaitingBatch {
                queue: row.parse("queue")?,
                band: rows::band(&row)?,
                first: JobId::new(row.get::<Uuid>("first")?),
                jobs: row.number("waiting")?,
            })
        };
        found.iter().map(batch).collect()
    }
}
