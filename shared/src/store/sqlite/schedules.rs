//! Schedules as those see them who make them. Nobody else writes, so what is read before it is written stays so.

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite as Dialect, SqliteConnection};
use uuid::Uuid;

use super::Sqlite;
use super::accept::check_texts;
use super::file::{failed, failed_or_rejected};
use super::rows::{self, Cell};
use crate::domain::{
    CatchUp, JobId, Payload, Schedule, ScheduleDefinition, ScheduleName, ScheduleOptions, ScheduleSource, TenantName,
    Timestamp,
};
use crate::store::schedules::{Claim, Decision, KeptSchedule, decide};
use crate::store::{NewSchedule, PutSchedule, Schedules, StoreError};

#[async_trait]
impl Schedules for Sqlite {
    async fn put_schedule(&self, new: &NewSchedule) -> Result<PutSchedule, StoreError> {
        check_texts([new.definition.input.content_type.as_str()])?;
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let found =
            sqlx::query(include_str!("sql/find_schedule.sql")).bind(new.tenant.as_str()).bind(new.name.as_str());
        let row = found.fetch_optional(&mut *write).await.map_err(failed)?;
        let kept = row.as_ref().map(kept_schedule).transpose()?;
        let is_new = kept.is_none();
        let others = if is_new { count(&mut write, &new.tenant).await? } else { 0 };
        let (kept, answer) = match decide(kept, others, new) {
            Decision::Leave(answer) => {
                write.commit().await?;
                return Ok(answer);
            }
            Decision::Keep(kept, answer) => (kept, answer),
        };
        let statement =
            if is_new { include_str!("sql/create_schedule.sql") } else { include_str!("sql/change_schedule.sql") };
        bound(sqlx::query(statement), &kept).execute(&mut *write).await.map_err(failed_or_rejected)?;
        write.commit().await?;
        Ok(answer)
    }

    async fn find_schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<Option<Schedule>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_schedule.sql")).bind(tenant.as_str()).bind(name.as_str());
        let row = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        row.as_ref().map(schedule).transpose()
    }

    async fn list_schedules(
        &self,
        tenant: &TenantName,
        after: Option<&ScheduleName>,
        limit: u32,
    ) -> Result<Vec<Schedule>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_schedules.sql"))
            .bind(tenant.as_str())
            .bind(after.map_or("", ScheduleName::as_str))
            .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        rows.iter().map(schedule).collect()
    }

    async fn pause_schedule(&self, tenant: &TenantName, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/pause_schedule.sql"))
            .bind(tenant.as_str())
            .bind(name.as_str())
            .bind(rows::micros(now));
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }

    async fn resume_schedule(
        &self,
        schedule: &Schedule,
        next_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/resume_schedule.sql"))
            .bind(schedule.tenant.as_str())
            .bind(schedule.name.as_str())
            .bind(schedule.version)
            .bind(rows::micros(now))
            .bind(next_at.map(rows::micros));
        let resumed = query.fetch_optional(&mut *write).await.map_err(failed)?.is_some();
        write.commit().await?;
        Ok(resumed)
    }

    async fn delete_schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<bool, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/delete_schedule.sql")).bind(tenant.as_str()).bind(name.as_str());
        let deleted = query.fetch_optional(&mut *write).await.map_err(failed)?.is_some();
        write.commit().await?;
        Ok(deleted)
    }
}

async fn count(connection: &mut SqliteConnection, tenant: &TenantName) -> Result<u64, StoreError> {
    let query = sqlx::query(include_str!("sql/count_schedules.sql")).bind(tenant.as_str());
    let row = query.fetch_one(connection).await.map_err(failed)?;
    Cell::of("schedules", &row).number("schedules")
}

fn bound<'q>(
    statement: Query<'q, Dialect, SqliteArguments>,
    kept: &KeptSchedule,
) -> Query<'q, Dialect, SqliteArguments> {
    let KeptSchedule { schedule, claim } = kept;
    let ScheduleDefinition { cron, catch_up, kind, input, options } = &schedule.definition;
    statement
        .bind(schedule.tenant.as_str().to_owned())
        .bind(schedule.name.as_str().to_owned())
        .bind(schedule.source.as_str())
        .bind(cron.to_string())
        .bind(catch_up.as_str())
        .bind(catch_up.most().map(i64::from))
        .bind(kind.as_str().to_owned())
        .bind(input.bytes.to_vec())
        .bind(input.content_type.clone())
        .bind(serde_json::json!(options).to_string())
        .bind(schedule.version)
        .bind(rows::micros(schedule.created_at))
        .bind(rows::micros(schedule.updated_at))
        .bind(schedule.paused_at.map(rows::micros))
        .bind(schedule.next_at.map(rows::micros))
        .bind(schedule.problem.clone())
        .bind(claim.map(|claim| rows::micros(claim.configured_at)))
        .bind(claim.map(|claim| rows::micros(claim.confirmed_at)))
        .bind(options.concurrency_key.clone())
}

fn kept_schedule(row: &SqliteRow) -> Result<KeptSchedule, StoreError> {
    let cells = Cell::of("schedules", row);
    let claim = match (cells.instant("configured_at")?, cells.instant("confirmed_at")?) {
        (Some(configured_at), Some(confirmed_at)) => Some(Claim { configured_at, confirmed_at }),
        _ => None,
    };
    Ok(KeptSchedule { schedule: schedule(row)?, claim })
}

/// A whole row.
pub(super) fn schedule(row: &SqliteRow) -> Result<Schedule, StoreError> {
    let cells = Cell::of("schedules", row);
    let instant = |column| cells.instant(column)?.ok_or_else(|| cells.inconsistent(column, "is missing"));
    let catch_up: CatchUp = cells.parse("catch_up")?;
    let options: ScheduleOptions = cells.json("options")?.unwrap_or_default();
    let most = match cells.get::<Option<i64>>("catch_up_most")? {
        Some(_) => cells.number("catch_up_most")?,
        None => CatchUp::USUAL,
    };
    Ok(Schedule {
        tenant: cells.parse("tenant")?,
        name: cells.parse("name")?,
        source: cells.parse::<ScheduleSource>("source")?,
        definition: ScheduleDefinition {
            cron: cells.parse("cron")?,
            catch_up: catch_up.with_most(most),
            kind: cells.parse("kind")?,
            input: Payload { content_type: cells.get("input_type")?, bytes: cells.get::<Vec<u8>>("input")?.into() },
            options: ScheduleOptions { concurrency_key: cells.get("concurrency_key")?, ..options },
        },
        version: cells.number("version")?,
        created_at: instant("created_at")?,
        updated_at: instant("updated_at")?,
        paused_at: cells.instant("paused_at")?,
        next_at: cells.instant("next_at")?,
        last_at: cells.instant("last_at")?,
        last_job: cells.get::<Option<Uuid>>("last_job")?.map(JobId::new),
        missed: cells.number("missed")?,
        problem: cells.get("problem")?,
    })
}
