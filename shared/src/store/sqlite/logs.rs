//! Lines that handlers wrote.

use async_trait::async_trait;

use super::Sqlite;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::JobId;
use crate::store::logs::{page, read_entries, size_of, write_entries};
use crate::store::{LogBatch, LoggedLine, Logs, StoreError};

#[async_trait]
impl Logs for Sqlite {
    async fn append_logs(&self, batches: &[LogBatch], limit: u64) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        for LogBatch { fence, entries } in batches {
            let query = sqlx::query(include_str!("sql/append_logs.sql"))
                .bind(fence.job.as_uuid())
                .bind(fence.attempt)
                .bind(fence.token)
                .bind(write_entries(entries))
                .bind(rows::whole(entries.len()))
                .bind(size_of(entries))
                .bind(rows::whole(limit));
            query.execute(&mut *write).await.map_err(failed)?;
        }
        write.commit().await
    }

    async fn list_logs(&self, id: JobId, after: u32, limit: u32) -> Result<Vec<LoggedLine>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_logs.sql"))
            .bind(id.as_uuid())
            .bind(i64::from(after))
            .bind(i64::from(limit));
        let mut lines = Vec::new();
        for row in query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)? {
            let row = Cell::of("job_logs", &row);
            let read = read_entries(row.get("entries")?, row.number("first")?, row.number("attempt")?);
            lines.extend(read.map_err(|problem| row.inconsistent("entries", problem))?);
        }
        Ok(page(lines.into_iter(), after, limit))
    }
}
