//! Queues as such: how they stand, and which are paused.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::Sqlite;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::{QueueName, WorkerId};
use crate::store::{LivingWorker, QueueLedger, Queues, StoreError, WaitingJobs};

fn waiting(row: &SqliteRow, now: i64) -> Result<WaitingJobs, StoreError> {
    let row = Cell::of("dispatches", row);
    let oldest = rows::until(row.get("oldest")?, now);
    Ok(WaitingJobs { queue: row.parse("queue")?, jobs: row.number("jobs")?, oldest })
}

fn worker(row: &SqliteRow, now: i64) -> Result<LivingWorker, StoreError> {
    let row = Cell::of("workers", row);
    Ok(LivingWorker {
        id: WorkerId::new(row.get::<Uuid>("id")?),
        name: row.get("name")?,
        is_remote: row.get("is_remote")?,
        silent_for: rows::until(row.get("heartbeat_at")?, now),
        // None before its first renewal.
        report: row.json("report")?.unwrap_or_default(),
    })
}

fn pause(row: &SqliteRow) -> Result<(QueueName, crate::domain::Timestamp), StoreError> {
    let row = Cell::of("paused_queues", row);
    let at = row.instant("paused_at")?.ok_or_else(|| row.inconsistent("paused_at", "is missing"))?;
    Ok((row.parse("name")?, at))
}

#[async_trait]
impl Queues for Sqlite {
    async fn find_ledger(&self) -> Result<QueueLedger, StoreError> {
        let mut reader = self.file.reader().await?;
        let now = self.now();
        let query = sqlx::query(include_str!("sql/find_waiting_by_queue.sql"));
        let waits = query.fetch_all(&mut *reader).await.map_err(failed)?;
        let paused = sqlx::query(include_str!("sql/list_paused_queues.sql"));
        let paused = paused.fetch_all(&mut *reader).await.map_err(failed)?;
        let workers = sqlx::query(include_str!("sql/list_living_workers.sql")).bind(now);
        let workers = workers.fetch_all(&mut *reader).await.map_err(failed)?;
        Ok(QueueLedger {
            waiting: waits.iter().map(|row| waiting(row, now)).collect::<Result<_, _>>()?,
            paused: paused.iter().map(pause).collect::<Result<_, _>>()?,
            workers: workers.iter().map(|row| worker(row, now)).collect::<Result<_, _>>()?,
        })
    }

    async fn pause_queue(&self, queue: &QueueName) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/pause_queue.sql")).bind(queue.as_str()).bind(self.now());
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }

    async fn resume_queue(&self, queue: &QueueName) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/resume_queue.sql")).bind(queue.as_str());
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }
}
