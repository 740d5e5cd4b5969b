//! Letting data go before its job.

use std::time::Duration;

use async_trait::async_trait;

use super::database::{Database, Lane};
use super::rows::Cells;
use crate::domain::{JobId, Status};
use crate::store::{Change, Erased, Erasures, StoreError};

#[async_trait]
impl Erasures for Database {
    async fn erase_job(&self, id: JobId) -> Result<Erased, StoreError> {
        let query = sqlx::query(include_str!("sql/erase_job.sql")).bind(id.as_uuid());
        let rows = self.fetch(Lane::Durable, query).await?;
        let Some(row) = rows.first() else { return Ok(Erased::Unknown) };
        let (cells, id) = Cells::of_job(row)?;
        let status: Status = cells.parse("status")?;
        Ok(match cells.get::<Option<i32>>("erased_version")? {
            Some(version) => Erased::Now(Change { id, version, status }),
            None if status.is_done() => Erased::Already,
            None => Erased::Live(status),
        })
    }

    async fn find_input_retention(&self, id: JobId) -> Result<Option<Duration>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_input_retention.sql")).bind(id.as_uuid());
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let seconds: i64 = Cells::of("erasures", row).get("keep_seconds")?;
        Ok(Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }

    async fn erase_due_inputs(&self, limit: u32) -> Result<bool, StoreError> {
        let query = sqlx::query(include_str!("sql/erase_due_inputs.sql")).bind(i64::from(limit));
        let rows = self.fetch(Lane::Durable, query).await?;
        let seen: i64 = rows.first().map_or(Ok(0), |row| Cells::of("erasures", row).get("seen"))?;
        Ok(seen == i64::from(limit))
    }
}
