//! Queues as such: how they stand, and which are paused.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::database::{Database, Lane};
use super::rows::Cells;
use crate::domain::{QueueName, WorkerId};
use crate::store::{LivingWorker, QueueLedger, Queues, StoreError, WaitingJobs};

fn waiting(row: &PgRow) -> Result<WaitingJobs, StoreError> {
    let cells = Cells::of("dispatches", row);
    let oldest = Duration::from_micros(cells.number("oldest_microseconds")?);
    Ok(WaitingJobs { queue: cells.parse("queue")?, jobs: cells.number("jobs")?, oldest })
}

fn worker(row: &PgRow) -> Result<LivingWorker, StoreError> {
    let cells = Cells::of("workers", row);
    Ok(LivingWorker {
        id: WorkerId::new(cells.get("id")?),
        name: cells.get("name")?,
        is_remote: cells.get("is_remote")?,
        silent_for: Duration::from_micros(cells.number("silent_microseconds")?),
        // None before its first renewal, and from a worker of an earlier release.
        report: cells.optional_json("report")?.unwrap_or_default(),
    })
}

#[async_trait]
impl Queues for Database {
    async fn find_ledger(&self) -> Result<QueueLedger, StoreError> {
        let (waits, paused, workers) = tokio::try_join!(
            self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/find_waiting_by_queue.sql"))),
            self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/list_paused_queues.sql"))),
            self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/list_living_workers.sql"))),
        )?;
        let pause = |row| {
            let cells = Cells::of("paused_queues", row);
            Ok((cells.parse("name")?, cells.get("paused_at")?))
        };
        Ok(QueueLedger {
            waiting: waits.iter().map(waiting).collect::<Result<_, _>>()?,
            paused: paused.iter().map(pause).collect::<Result<_, StoreError>>()?,
            workers: workers.iter().map(worker).collect::<Result<_, _>>()?,
        })
    }

    async fn pause_queue(&self, queue: &QueueName) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("sql/pause_queue.sql")).bind(queue.as_str());
        self.fetch(Lane::Durable, query).await.map(drop)
    }

    async fn resume_queue(&self, queue: &QueueName) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("sql/resume_queue.sql")).bind(queue.as_str());
        self.fetch(Lane::Durable, query).await.map(drop)
    }
}
