//! The partitions of `jobs`: one for each day by the time in the ids, made ahead of time, dropped when forgotten.
//!
//! A partition is dropped as a whole, which costs nothing for each of its jobs. What is still live in it moves to the
//! default partition first. Between two commits such a partition is called `retired_jobs_…`: detached, its live jobs
//! moved, itself not yet dropped. A crash there leaves a table that the next run finds and finishes with.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use time::{Date, Month, OffsetDateTime};
use tokio::time::timeout;
use uuid::Uuid;

use super::database::{Database, Lane};
use super::refusal::{refusal, timed_out};
use crate::domain::JobId;
use crate::store::StoreError;

/// Days whose partitions exist before they begin.
const DAYS_AHEAD: i64 = 3;

/// One process at a time makes or drops partitions.
const LOCK: i64 = 0x7261_696e_6368_6563;

/// All statements on `jobs` queue up behind one that waits to change its partitions: rather try again later.
const DDL_LOCK_TIMEOUT: &str = "1s";

/// Live jobs that are moved on so that their partition can be dropped. They move under a lock on all of `jobs`; with
/// more of them the partition stays, and costs disk.
const MOVED_AT_MOST: i64 = 1_000;

/// Whether nothing comes to the partition of a day any more: it is over for longer than jobs may be kept under ids that were
/// made on it, and for an hour more because of slow clocks and open transactions. A job that came while its partition goes
/// would be lost.
fn is_settled(day: Date, now: OffsetDateTime) -> bool {
    day_after(day).midnight().assume_utc() + JobId::KEPT_WITHIN + time::Duration::HOUR < now
}

struct Partitions {
    now: OffsetDateTime,
    attached: Vec<Date>,
    retired: Vec<Date>,
}

fn partition(day: Date) -> String {
    format!("jobs_{}", digits(day))
}

fn retired(day: Date) -> String {
    format!("retired_jobs_{}", digits(day))
}

fn digits(day: Date) -> String {
    format!("{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day())
}

/// The day in a partition's name.
fn day_of(name: &str) -> Option<Date> {
    let digits = name.get(name.len().checked_sub(8)?..)?;
    let part = |range| digits.get(range).and_then(|text: &str| text.parse::<u16>().ok());
    let month = Month::try_from(u8::try_from(part(4..6)?).ok()?).ok()?;
    Date::from_calendar_date(i32::from(part(0..4)?), month, u8::try_from(part(6..8)?).ok()?).ok()
}

/// The smallest UUIDv7 of a day: 48 bits of milliseconds come first.
fn first_id(day: Date) -> Uuid {
    let millis = day.midnight().assume_utc().unix_timestamp_nanos() / 1_000_000;
    Uuid::from_u128(u128::try_from(millis).unwrap_or(0) << 80)
}

fn day_after(day: Date) -> Date {
    day.next_day().unwrap_or(day)
}

async fn list(connection: &mut PgConnection) -> Result<Partitions, sqlx::Error> {
    let row = sqlx::query(include_str!("sql/list_partitions.sql")).fetch_one(connection).await?;
    let days = |column: &str| {
        let names: Vec<String> = row.try_get(column)?;
        Ok::<_, sqlx::Error>(names.iter().filter_map(|name| day_of(name)).collect())
    };
    Ok(Partitions { now: row.try_get("now")?, attached: days("partitions")?, retired: days("retired")? })
}

/// Begins a transaction in which partitions may be changed; `None`: another process is at it.
async fn begin(connection: &mut PgConnection) -> Result<Option<sqlx::Transaction<'_, sqlx::Postgres>>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let row = sqlx::query("SELECT pg_try_advisory_xact_lock($1) AS mine, set_config('lock_timeout', $2, true)")
        .bind(LOCK)
        .bind(DDL_LOCK_TIMEOUT)
        .fetch_one(&mut *transaction)
        .await?;
    Ok(row.try_get::<bool, _>("mine")?.then_some(transaction))
}

async fn execute(connection: &mut PgConnection, statements: String) -> Result<(), sqlx::Error> {
    // Made of names and ids that this file has made itself.
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.map(|_| ())
}

/// Sees to it that the partitions of today and the days ahead exist.
pub(super) async fn prepare(database: &Database) -> Result<(), StoreError> {
    let work = async {
        let mut connection = database.connect(Lane::Durable, database.timeout()).await?;
        let mut transaction = connection.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1), set_config('lock_timeout', $2, true)")
            .bind(LOCK)
            .bind(DDL_LOCK_TIMEOUT)
            .execute(&mut *transaction)
            .await?;
        let found = list(&mut transaction).await?;
        let days = (0..=DAYS_AHEAD).filter_map(|n| found.now.date().checked_add(time::Duration::days(n)));
        for day in days.filter(|day| !found.attached.contains(day)) {
            create(&mut transaction, day).await?;
        }
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(())
    };
    timeout(2 * database.timeout(), work).await.unwrap_or_else(|_| Err(timed_out())).map_err(refusal)
}

async fn create(connection: &mut PgConnection, day: Date) -> Result<(), sqlx::Error> {
    let (name, from, to) = (partition(day), first_id(day), first_id(day_after(day)));
    let taken = sqlx::query("SELECT EXISTS (SELECT FROM jobs_default WHERE id >= $1 AND id < $2) AS taken")
        .bind(from)
        .bind(to)
        .fetch_one(&mut *connection)
        .await?;
    if taken.try_get("taken")? {
        tracing::warn!(partition = %name, "not made: the default partition holds jobs of that day already");
        return Ok(());
    }
    // Filled to 35 %: a job is written three times, as it came, as it was claimed, and with its result, and the last takes
    // the place of the first. What does not fit its page is not HOT, and leaves a hole behind.
    //
    // Attached rather than created in place: that would lock out everybody from `jobs`, this only those who use the
    // default partition, for as long as it takes to see that no job in it belongs here.
    execute(
        connection,
        format!(
            "CREATE TABLE {name} (LIKE jobs INCLUDING ALL) WITH (fillfactor = 35);
             ALTER TABLE jobs ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}');"
        ),
    )
    .await
}

/// Drops one partition in which next to nothing is live, and what an earlier run has left. True: there may be more.
pub(super) async fn drop_one(connection: &mut PgConnection, full: &Mutex<FullDays>) -> Result<bool, sqlx::Error> {
    let found = list(connection).await?;
    for &day in &found.retired {
        drop_retired(connection, day).await?;
    }
    let full = || full.lock().unwrap_or_else(PoisonError::into_inner);
    full().keep_only(&found.attached);
    for &day in found.attached.iter().filter(|&&day| is_settled(day, found.now)) {
        if full().rests(day, found.now) {
            continue;
        }
        let live = list_live(connection, day).await?;
        if live.len() > usize::try_from(MOVED_AT_MOST).unwrap_or(0) {
            full().note(day, found.now);
        } else if retire(connection, day, live).await? {
            drop_retired(connection, day).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Days in whose partitions too much was live to drop them. To find that out can take the reading of a whole partition, so
/// each is left alone for a while then: an hour, twice as long each time, half a day at most.
#[derive(Debug, Default)]
pub(super) struct FullDays(HashMap<Date, Rest>);

#[derive(Debug, Clone, Copy)]
struct Rest {
    lasts: time::Duration,
    until: OffsetDateTime,
}

impl FullDays {
    fn rests(&self, day: Date, now: OffsetDateTime) -> bool {
        // A clock that was set back holds up nothing.
        self.0.get(&day).is_some_and(|rest| now < rest.until && rest.until - now <= rest.lasts)
    }

    fn note(&mut self, day: Date, now: OffsetDateTime) {
        let longest: time::Duration = 12 * time::Duration::HOUR;
        let lasts = self.0.get(&day).map_or(time::Duration::HOUR, |rest| longest.min(rest.lasts * 2));
        self.0.insert(day, Rest { lasts, until: now + lasts });
    }

    fn keep_only(&mut self, days: &[Date]) {
        self.0.retain(|day, _| days.contains(day));
    }
}

/// Jobs of a partition that are not forgotten yet, or one more than may be moved.
async fn list_live(connection: &mut PgConnection, day: Date) -> Result<Vec<Uuid>, sqlx::Error> {
    let query = format!("SELECT id FROM {} WHERE expires_at IS NULL OR expires_at > now() LIMIT $1", partition(day));
    sqlx::query_scalar(AssertSqlSafe(query)).bind(MOVED_AT_MOST + 1).fetch_all(connection).await
}

/// Detaches a partition and moves its live jobs on, in one commit. False: another process is at it.
async fn retire(connection: &mut PgConnection, day: Date, live: Vec<Uuid>) -> Result<bool, sqlx::Error> {
    let Some(mut transaction) = begin(connection).await? else { return Ok(false) };
    let (attached, detached) = (partition(day), retired(day));
    execute(
        &mut transaction,
        format!("ALTER TABLE jobs DETACH PARTITION {attached}; ALTER TABLE {attached} RENAME TO {detached};"),
    )
    .await?;
    let moving = format!(
        "WITH moving AS (DELETE FROM {detached} WHERE id = ANY($1) RETURNING *) INSERT INTO jobs SELECT * FROM moving"
    );
    let moved = sqlx::query(AssertSqlSafe(moving)).bind(live).execute(&mut *transaction).await?;
    transaction.commit().await?;
    tracing::info!(partition = %attached, moved = moved.rows_affected(), "retired a partition");
    Ok(true)
}

/// Ends with a detached partition: moves on what was added to it at the last moment, frees its keys, deletes what was told of
/// its jobs and what they wrote, drops it.
async fn drop_retired(connection: &mut PgConnection, day: Date) -> Result<(), sqlx::Error> {
    let Some(mut transaction) = begin(connection).await? else { return Ok(()) };
    let (name, from, to) = (retired(day), first_id(day), first_id(day_after(day)));
    let exists = sqlx::query("SELECT to_regclass($1) IS NOT NULL AS found").bind(&name);
    if !exists.fetch_one(&mut *transaction).await?.try_get::<bool, _>("found")? {
        return Ok(());
    }
    execute(
        &mut transaction,
        format!(
            "WITH moving AS (DELETE FROM {name} WHERE expires_at IS NULL OR expires_at > now() RETURNING *)
                 INSERT INTO jobs SELECT * FROM moving;
             DELETE FROM idempotency_keys k USING {name} gone WHERE k.key = gone.idempotency_key AND k.job_id = gone.id;
             DELETE FROM job_logs l WHERE l.job_id >= '{from}' AND l.job_id < '{to}'
                 AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = l.job_id);
             DELETE FROM deliveries d WHERE d.job_id >= '{from}' AND d.job_id < '{to}' AND d.version > 0
                 AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = d.job_id);
             DROP TABLE {name};"
        ),
    )
    .await?;
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_after_its_day_and_holds_the_ids_of_that_day() {
        let day = Date::from_calendar_date(2026, Month::March, 9).unwrap();
        assert_eq!(partition(day), "jobs_20260309");
        assert_eq!(day_of(&partition(day)), Some(day));
        assert_eq!(day_of(&retired(day)), Some(day));
        assert_eq!(day_of("jobs_default"), None);
        let id = |seconds: u64| Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
        let midnight = day.midnight().assume_utc().unix_timestamp().cast_unsigned();
        assert!(first_id(day) <= id(midnight) && id(midnight + 86_399) < first_id(day_after(day)));
        assert!(id(midnight - 1) < first_id(day));
    }

    #[test]
    fn a_day_is_settled_when_no_job_can_be_kept_any_more_under_an_id_of_it() {
        let day = Date::from_calendar_date(2026, Month::March, 9).unwrap();
        let last_id = day_after(day).midnight().assume_utc() - time::Duration::MILLISECOND;
        let kept_last = last_id + JobId::KEPT_WITHIN;
        assert!(!is_settled(day, kept_last) && !is_settled(day, kept_last + time::Duration::HOUR));
        assert!(is_settled(day, kept_last + 2 * time::Duration::HOUR));
    }

    #[test]
    fn a_day_that_is_full_is_looked_at_again_in_an_hour_then_in_two() {
        let (day, hour) = (Date::from_calendar_date(2026, Month::March, 9).unwrap(), time::Duration::HOUR);
        let (mut full, mut now) = (FullDays::default(), (day + time::Duration::days(30)).midnight().assume_utc());
        assert!(!full.rests(day, now), "it was never looked at");
        for hours in [1, 2, 4, 8, 12, 12] {
            full.note(day, now);
            assert!(full.rests(day, now) && !full.rests(day_after(day), now));
            assert!(full.rests(day, now + hours * hour - time::Duration::SECOND));
            assert!(!full.rests(day, now - hour), "before it was noted: the clock was set back");
            now += hours * hour;
            assert!(!full.rests(day, now), "{hours} h later");
        }
        full.keep_only(&[]);
        full.note(day, now);
        assert!(!full.rests(day, now + hour), "it begins anew");
    }
}
