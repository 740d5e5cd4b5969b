//! Lines that handlers wrote.

use async_trait::async_trait;
use uuid::Uuid;

use super::database::{Database, Lane};
use super::rows::{Cells, id_range};
use crate::domain::JobId;
use crate::store::logs::{page, read_entries, size_of, write_entries};
use crate::store::{LogBatch, LoggedLine, Logs, StoreError};

#[async_trait]
impl Logs for Database {
    async fn append_logs(&self, batches: &[LogBatch], limit: u64) -> Result<(), StoreError> {
        if batches.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = batches.iter().map(|batch| batch.fence.job.as_uuid()).collect();
        let (first, last) = id_range(&ids);
        let lines = |batch: &LogBatch| i32::try_from(batch.entries.len()).unwrap_or(i32::MAX);
        let query = sqlx::query(include_str!("sql/append_logs.sql"))
            .bind(ids)
            .bind(batches.iter().map(|batch| batch.fence.attempt).collect::<Vec<_>>())
            .bind(batches.iter().map(|batch| batch.fence.token).collect::<Vec<_>>())
            .bind(batches.iter().map(|batch| write_entries(&batch.entries)).collect::<Vec<_>>())
            .bind(batches.iter().map(lines).collect::<Vec<_>>())
            .bind(batches.iter().map(|batch| size_of(&batch.entries)).collect::<Vec<_>>())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(first)
            .bind(last);
        // Lines that a crash of the server takes were not promised to anybody.
        self.fetch(Lane::Relaxed, query).await.map(drop)
    }

    async fn list_logs(&self, id: JobId, after: u32, limit: u32) -> Result<Vec<LoggedLine>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_logs.sql"))
            .bind(id.as_uuid())
            .bind(i32::try_from(after).unwrap_or(i32::MAX))
            .bind(i64::from(limit));
        let mut lines = Vec::new();
        for row in self.fetch(Lane::Relaxed, query).await? {
            let cells = Cells::of("job_logs", &row);
            let first: i32 = cells.get("first")?;
            let read = read_entries(cells.get("entries")?, first.cast_unsigned(), cells.get("attempt")?);
            lines.extend(read.map_err(|problem| cells.wrong("entries", problem))?);
        }
        Ok(page(lines.into_iter(), after, limit))
    }
}
