//! Schedules as those see them who make them.
//!
//! To put one is to read it, decide and write it, so it is a transaction; the row is locked meanwhile, so that no tick is run
//! between the two.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout_at;

use super::database::{Database, Lane, Statement};
use super::refusal::{refusal, timed_out};
use super::rows::Cells;
use crate::domain::{
    CatchUp, JobId, Payload, Schedule, ScheduleDefinition, ScheduleName, ScheduleOptions, ScheduleSource, TenantName,
    Timestamp,
};
use crate::store::schedules::{Claim, Decision, KeptSchedule, decide};
use crate::store::{NewSchedule, PutSchedule, Schedules, StoreError};

#[async_trait]
impl Schedules for Database {
    async fn put_schedule(&self, new: &NewSchedule) -> Result<PutSchedule, StoreError> {
        let deadline = self.deadline();
        let work = async {
            let mut loan = self.lend_durable(deadline).await.map_err(refusal)?;
            for _ in 0..3 {
                let mut transaction = loan.connection.begin().await.map_err(refusal)?;
                let put = put(&mut transaction, new).await?;
                transaction.commit().await.map_err(refusal)?;
                if let Some(put) = put {
                    loan.give_back();
                    return Ok(put);
                }
            }
            // Somebody was quicker again and again.
            Err(refusal(timed_out()))
        };
        timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(refusal(timed_out())))
    }

    async fn find_schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<Option<Schedule>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_schedule.sql")).bind(tenant.as_str()).bind(name.as_str());
        self.fetch(Lane::Relaxed, query).await?.first().map(schedule).transpose()
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
        self.fetch(Lane::Relaxed, query).await?.iter().map(schedule).collect()
    }

    async fn pause_schedule(&self, tenant: &TenantName, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError> {
        let query =
            sqlx::query(include_str!("sql/pause_schedule.sql")).bind(tenant.as_str()).bind(name.as_str()).bind(now);
        self.fetch(Lane::Durable, query).await.map(drop)
    }

    async fn resume_schedule(
        &self,
        schedule: &Schedule,
        next_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(include_str!("sql/resume_schedule.sql"))
            .bind(schedule.tenant.as_str())
            .bind(schedule.name.as_str())
            .bind(schedule.version)
            .bind(now)
            .bind(next_at);
        Ok(!self.fetch(Lane::Durable, query).await?.is_empty())
    }

    async fn delete_schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<bool, StoreError> {
        let query = sqlx::query(include_str!("sql/delete_schedule.sql")).bind(tenant.as_str()).bind(name.as_str());
        Ok(!self.fetch(Lane::Durable, query).await?.is_empty())
    }
}

/// `None`: another of the same name was made in this very moment.
async fn put(connection: &mut PgConnection, new: &NewSchedule) -> Result<Option<PutSchedule>, StoreError> {
    let locked = sqlx::query(include_str!("sql/lock_schedule.sql")).bind(new.tenant.as_str()).bind(new.name.as_str());
    let row = locked.fetch_optional(&mut *connection).await.map_err(refusal)?;
    let kept = row.as_ref().map(kept_schedule).transpose()?;
    let is_new = kept.is_none();
    let others = if is_new { count(connection, &new.tenant).await? } else { 0 };
    match decide(kept, others, new) {
        Decision::Leave(answer) => Ok(Some(answer)),
        Decision::Keep(kept, answer) if is_new => {
            let query = bound(sqlx::query(include_str!("sql/create_schedule.sql")), &kept);
            let created = query.fetch_optional(&mut *connection).await.map_err(refusal)?;
            Ok(created.map(|_| answer))
        }
        Decision::Keep(kept, answer) => {
            let query = bound(sqlx::query(include_str!("sql/change_schedule.sql")), &kept);
            query.execute(&mut *connection).await.map_err(refusal)?;
            Ok(Some(answer))
        }
    }
}

async fn count(connection: &mut PgConnection, tenant: &TenantName) -> Result<u64, StoreError> {
    let query = sqlx::query(include_str!("sql/count_schedules.sql")).bind(tenant.as_str());
    let row = query.fetch_one(connection).await.map_err(refusal)?;
    Cells::of("schedules", &row).number("schedules")
}

fn bound<'q>(statement: Statement<'q>, kept: &KeptSchedule) -> Statement<'q> {
    let KeptSchedule { schedule, claim } = kept;
    let ScheduleDefinition { cron, catch_up, kind, input, options } = &schedule.definition;
    statement
        .bind(schedule.tenant.as_str().to_owned())
        .bind(schedule.name.as_str().to_owned())
        .bind(schedule.source.as_str())
        .bind(cron.to_string())
        .bind(catch_up.as_str())
        .bind(catch_up.most().map(u32::cast_signed))
        .bind(kind.as_str().to_owned())
        .bind(input.bytes.to_vec())
        .bind(input.content_type.clone())
        .bind(serde_json::json!(options).to_string())
        .bind(schedule.version)
        .bind(schedule.created_at)
        .bind(schedule.updated_at)
        .bind(schedule.paused_at)
        .bind(schedule.next_at)
        .bind(schedule.problem.clone())
        .bind(claim.map(|claim| claim.configured_at))
        .bind(claim.map(|claim| claim.confirmed_at))
        .bind(options.concurrency_key.clone())
}

fn kept_schedule(row: &PgRow) -> Result<KeptSchedule, StoreError> {
    let cells = Cells::of("schedules", row);
    let (configured_at, confirmed_at) = (cells.get("configured_at")?, cells.get("confirmed_at")?);
    let claim = match (configured_at, confirmed_at) {
        (Some(configured_at), Some(confirmed_at)) => Some(Claim { configured_at, confirmed_at }),
        _ => None,
    };
    Ok(KeptSchedule { schedule: schedule(row)?, claim })
}

/// A whole row.
pub(super) fn schedule(row: &PgRow) -> Result<Schedule, StoreError> {
    let cells = Cells::of("schedules", row);
    let catch_up: CatchUp = cells.parse("catch_up")?;
    let options: ScheduleOptions = cells.json("options", cells.get("options")?)?;
    let most = cells.get::<Option<i32>>("catch_up_most")?.map_or(CatchUp::USUAL, i32::cast_unsigned);
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
        version: cells.get("version")?,
        created_at: cells.get("created_at")?,
        updated_at: cells.get("updated_at")?,
        paused_at: cells.get("paused_at")?,
        next_at: cells.get("next_at")?,
        last_at: cells.get("last_at")?,
        last_job: cells.get::<Option<uuid::Uuid>>("last_job")?.map(JobId::new),
        missed: cells.number("missed")?,
        problem: cells.get("problem")?,
    })
}
