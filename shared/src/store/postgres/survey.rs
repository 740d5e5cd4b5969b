//! Samples that estimates are made of.

use async_trait::async_trait;

use super::database::{Database, Lane};
use super::rows::Cells;
use crate::domain::JobId;
use crate::store::StoreError;
use crate::store::survey::{RecentRun, Survey, WaitingBatch};

#[async_trait]
impl Survey for Database {
    async fn list_recent_runs(&self, limit: u32) -> Result<Vec<RecentRun>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_recent_runs.sql")).bind(i64::from(limit));
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let run = |row| {
            let (cells, _) = Cells::of_job(row)?;
            Ok(RecentRun {
                kind: cells.parse("kind")?,
                queue: cells.parse("queue")?,
                started_at: cells.get("started_at")?,
                finished_at: cells.get("finished_at")?,
            })
        };
        rows.iter().map(run).collect()
    }

    async fn list_waiting(&self, limit: u32) -> Result<Vec<WaitingBatch>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_waiting.sql")).bind(i64::from(limit));
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let batch = |row| {
            let cells = Cells::of("dispatches", row);
            Ok(WaitingBatch {
                queue: cells.parse("queue")?,
                band: cells.band()?,
                first: JobId::new(cells.get("first")?),
                jobs: cells.number("waiting")?,
            })
        };
        rows.iter().map(batch).collect()
    }
}
