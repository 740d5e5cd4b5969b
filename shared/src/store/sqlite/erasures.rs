//! Letting data go before its job.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::Sqlite;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::{JobId, Status};
use crate::store::{Change, Erased, Erasures, StoreError};

/// The least time between two looks at a job that has not ended.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

#[async_trait]
impl Erasures for Sqlite {
    async fn erase_job(&self, id: JobId) -> Result<Erased, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let query = sqlx::query(include_str!("sql/find_erasable.sql")).bind(id.as_uuid()).bind(now);
        let Some(row) = query.fetch_optional(&mut *write).await.map_err(failed)? else { return Ok(Erased::Unknown) };
        let row = Cell::of_job(&row, id);
        let status: Status = row.parse("status")?;
        if !status.is_done() {
            return Ok(Erased::Live(status));
        }
        if row.instant("erased_at")?.is_some() {
            return Ok(Erased::Already);
        }
        let version: i32 = row.number("version")?;
        for statement in [
            include_str!("sql/erase_job.sql"),
            include_str!("sql/delete_logs.sql"),
            include_str!("sql/drop_erasure.sql"),
        ] {
            let query = sqlx::query(statement).bind(id.as_uuid());
            let query = if statement.contains("?2") { query.bind(now) } else { query };
            query.execute(&mut *write).await.map_err(failed)?;
        }
        write.commit().await?;
        Ok(Erased::Now(Change { id, version: version + 1, status }))
    }

    async fn find_input_retention(&self, id: JobId) -> Result<Option<Duration>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_input_retention.sql")).bind(id.as_uuid());
        let found = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(Duration::from_secs(Cell::of("erasures", &row).number("keep_seconds")?)))
    }

    async fn erase_due_inputs(&self, limit: u32) -> Result<bool, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let query = sqlx::query(include_str!("sql/find_due_erasures.sql")).bind(now).bind(i64::from(limit));
        let due = query.fetch_all(&mut *write).await.map_err(failed)?;
        for row in &due {
            let row = Cell::of("erasures", row);
            let id = row.get::<Uuid>("job_id")?;
            let keep = Duration::from_secs(row.number("keep_seconds")?);
            let erase_at = row.instant("finished_at")?.map(|at| rows::later(rows::micros(at), keep));
            let look_at = match erase_at {
                _ if !row.get::<bool>("is_known")? => None,
                Some(at) if at <= now => None,
                Some(at) => Some(at),
                None => Some(rows::later(now, keep.max(LOOK_AGAIN))),
            };
            let query = if let Some(at) = look_at {
                sqlx::query(include_str!("sql/defer_erasure.sql")).bind(id).bind(at)
            } else {
                let query = sqlx::query(include_str!("sql/erase_input.sql")).bind(id).bind(now);
                query.execute(&mut *write).await.map_err(failed)?;
                sqlx::query(include_str!("sql/drop_erasure.sql")).bind(id)
            };
            query.execute(&mut *write).await.map_err(failed)?;
        }
        write.commit().await?;
        Ok(rows::whole(due.len()) == i64::from(limit))
    }
}
