//! What the loop asks that makes the jobs of schedules.
//!
//! The jobs of a tick and the step of its schedule are one transaction. Whoever makes it holds the schedule's row; others pass
//! it over.

use async_trait::async_trait;
use sqlx::Connection;
use tokio::time::timeout_at;

use super::accept::{Acceptance, BATCH_KEY_WAIT};
use super::database::{Database, Lane};
use super::refusal::{refusal, timed_out};
use super::rows::Cells;
use super::schedules::schedule;
use crate::domain::{JobId, Schedule, ScheduleName, TenantName, Timestamp};
use crate::store::{AcceptedBatch, Fired, Firing, StoreError, Ticks};

#[async_trait]
impl Ticks for Database {
    async fn list_due_schedules(
        &self,
        now: Timestamp,
        after: Option<&Schedule>,
        limit: u32,
    ) -> Result<Vec<Schedule>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_due_schedules.sql"))
            .bind(now)
            .bind(after.and_then(|after| after.next_at).unwrap_or(Timestamp::UNIX_EPOCH))
            .bind(after.map_or("", |after| after.tenant.as_str()))
            .bind(after.map_or("", |after| after.name.as_str()))
            .bind(i64::from(limit));
        self.fetch(Lane::Relaxed, query).await?.iter().map(schedule).collect()
    }

    async fn next_tick(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/find_next_tick.sql")).bind(after)).await?;
        rows.first().map_or(Ok(None), |row| Cells::of("schedules", row).get("next_at"))
    }

    async fn fire_schedule(&self, firing: &Firing) -> Result<Fired, StoreError> {
        let deadline = self.deadline();
        let work = async {
            let Firing { schedule, jobs, last, missed, next_at } = firing;
            let mut loan = self.lend_durable(deadline).await?;
            let mut transaction = loan.connection.begin().await?;
            let take = sqlx::query(include_str!("sql/take_schedule.sql"))
                .bind(schedule.tenant.as_str())
                .bind(schedule.name.as_str())
                .bind(schedule.version)
                .bind(schedule.next_at);
            if take.fetch_optional(&mut *transaction).await?.is_none() {
                transaction.rollback().await?;
                loan.give_back();
                return Ok(Fired::Elsewhere);
            }
            let accepted = if jobs.is_empty() {
                AcceptedBatch { answers: Vec::new(), dispatches: Vec::new() }
            } else {
                let acceptance = Acceptance::within(&mut transaction, jobs, self.timeout());
                acceptance.keep_in_transaction(BATCH_KEY_WAIT).await?
            };
            let advance = sqlx::query(include_str!("sql/advance_schedule.sql"))
                .bind(schedule.tenant.as_str())
                .bind(schedule.name.as_str())
                .bind(next_at)
                .bind(i64::from(*missed))
                .bind(last.map(|(tick, _)| tick))
                .bind(last.map(|(_, job)| JobId::as_uuid(job)));
            advance.execute(&mut *transaction).await?;
            transaction.commit().await?;
            loan.give_back();
            Ok(Fired::Made(accepted))
        };
        let fired = timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(timed_out()));
        fired.map_err(refusal)
    }

    async fn note_schedule_problem(&self, schedule: &Schedule, problem: Option<&str>) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("sql/note_schedule_problem.sql"))
            .bind(schedule.tenant.as_str())
            .bind(schedule.name.as_str())
            .bind(schedule.version)
            .bind(problem)
            .bind(schedule.next_at);
        self.fetch(Lane::Relaxed, query).await.map(drop)
    }

    async fn remove_unconfirmed_schedules(
        &self,
        before: Timestamp,
    ) -> Result<Vec<(TenantName, ScheduleName)>, StoreError> {
        let query = sqlx::query(include_str!("sql/remove_unconfirmed_schedules.sql")).bind(before);
        let removed = self.fetch(Lane::Durable, query).await?;
        let name = |row| {
            let cells = Cells::of("schedules", row);
            Ok((cells.parse("tenant")?, cells.parse("name")?))
        };
        removed.iter().map(name).collect()
    }
}
