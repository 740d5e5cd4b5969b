//! What the loop asks that makes the jobs of schedules: their jobs and the step of their schedule in one transaction.

use async_trait::async_trait;

use super::Sqlite;
use super::accept::accept_all;
use super::file::failed;
use super::rows::{self, Cell};
use super::schedules::schedule;
use crate::domain::{JobId, Schedule, ScheduleName, TenantName, Timestamp};
use crate::store::{Fired, Firing, StoreError, Ticks};

#[async_trait]
impl Ticks for Sqlite {
    async fn list_due_schedules(
        &self,
        now: Timestamp,
        after: Option<&Schedule>,
        limit: u32,
    ) -> Result<Vec<Schedule>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_due_schedules.sql"))
            .bind(rows::micros(now))
            .bind(after.and_then(|after| after.next_at).map_or(0, rows::micros))
            .bind(after.map_or("", |after| after.tenant.as_str()))
            .bind(after.map_or("", |after| after.name.as_str()))
            .bind(i64::from(limit));
        let due = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        due.iter().map(schedule).collect()
    }

    async fn next_tick(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_next_tick.sql")).bind(rows::micros(after));
        let row = query.fetch_one(&mut *self.file.reader().await?).await.map_err(failed)?;
        Cell::of("schedules", &row).instant("next_at")
    }

    async fn fire_schedule(&self, firing: &Firing) -> Result<Fired, StoreError> {
        let Firing { schedule, jobs, last, missed, next_at } = firing;
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let take = sqlx::query(include_str!("sql/take_schedule.sql"))
            .bind(schedule.tenant.as_str())
            .bind(schedule.name.as_str())
            .bind(schedule.version)
            .bind(schedule.next_at.map(rows::micros));
        if take.fetch_optional(&mut *write).await.map_err(failed)?.is_none() {
            write.commit().await?;
            return Ok(Fired::Elsewhere);
        }
        let now = self.now();
        let accepted = accept_all(&mut write, jobs, now).await?;
        if let Some(error) = accepted.answers.iter().find_map(|answer| answer.as_ref().err()) {
            // Dropped, which undoes all of it.
            return Err(error.clone());
        }
        let advance = sqlx::query(include_str!("sql/advance_schedule.sql"))
            .bind(schedule.tenant.as_str())
            .bind(schedule.name.as_str())
            .bind(next_at.map(rows::micros))
            .bind(i64::from(*missed))
            .bind(last.map(|(tick, _)| rows::micros(tick)))
            .bind(last.map(|(_, job)| JobId::as_uuid(job)));
        advance.execute(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        Ok(Fired::Made(accepted))
    }

    async fn note_schedule_problem(&self, schedule: &Schedule, problem: Option<&str>) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/note_schedule_problem.sql"))
            .bind(schedule.tenant.as_str())
            .bind(schedule.name.as_str())
            .bind(schedule.version)
            .bind(problem)
            .bind(schedule.next_at.map(rows::micros));
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }

    async fn remove_unconfirmed_schedules(
        &self,
        before: Timestamp,
    ) -> Result<Vec<(TenantName, ScheduleName)>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/remove_unconfirmed_schedules.sql")).bind(rows::micros(before));
        let removed = query.fetch_all(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        let name = |row| {
            let cell = Cell::of("schedules", row);
            Ok((cell.parse("tenant")?, cell.parse("name")?))
        };
        removed.iter().map(name).collect()
    }
}
