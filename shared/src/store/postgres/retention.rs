//! Removes what has outlived its retention, a bounded amount at a time.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::database::{Database, Lane};
use super::partitions;
use super::refusal::{refusal, timed_out};
use crate::store::StoreError;

/// Forgotten jobs of the default partition, and batches, that are deleted at once.
const DELETED_AT_ONCE: i64 = 1_000;

/// Keys that one run looks at.
const KEYS_AT_ONCE: i64 = 5_000;

/// Deliveries that one run looks at. More than any job has at once: a run that starts after a job never skips any.
const DELIVERIES_AT_ONCE: i64 = 5_000;

/// It reads whole partitions. It is in nobody's way, so it may take its time.
const PATIENCE: Duration = Duration::from_mins(10);

/// Removes forgotten jobs with all that is theirs, and batches. True: there is more. Each step is taken, whatever became of
/// the others; that of the partitions comes last, since it may take long or find them in use.
pub(super) async fn remove_expired(database: &Database) -> Result<bool, StoreError> {
    let work = async {
        let mut connection = database.connect(Lane::Durable, PATIENCE).await?;
        let steps = [
            delete_some_jobs(&mut connection).await,
            delete_some_batches(&mut connection).await,
            free_some_keys(database, &mut connection).await,
            delete_some_deliveries(database, &mut connection).await,
            partitions::drop_one(&mut connection, database.full_days()).await,
        ];
        let _ = connection.close().await;
        steps.into_iter().try_fold(false, |more, step| Ok(step? || more))
    };
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(timed_out())).map_err(refusal)
}

async fn delete_some_jobs(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(include_str!("sql/delete_expired_jobs.sql")).bind(DELETED_AT_ONCE);
    Ok(query.fetch_one(connection).await?.try_get::<i64, _>("removed")? == DELETED_AT_ONCE)
}

async fn delete_some_batches(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(include_str!("sql/delete_expired_batches.sql")).bind(DELETED_AT_ONCE);
    Ok(query.fetch_one(connection).await?.try_get::<i64, _>("removed")? == DELETED_AT_ONCE)
}

/// Frees keys of jobs that are forgotten although their partition is still there, a few at each run, in turn. Nothing
/// depends on it: most keys go with their partition, and one that is asked for is freed on the spot.
async fn free_some_keys(database: &Database, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let (key, tenant) = database.last_key_seen();
    let row = sqlx::query(include_str!("sql/delete_keys_of_gone_jobs.sql"))
        .bind(key)
        .bind(tenant)
        .bind(KEYS_AT_ONCE)
        .fetch_optional(connection)
        .await?;
    let last = match row {
        Some(row) => (row.try_get("key")?, row.try_get("tenant")?),
        None => Default::default(),
    };
    database.see_keys_until(last);
    Ok(false)
}

/// Deletes deliveries of jobs that are forgotten although their partition is still there, a few at each run, in turn.
async fn delete_some_deliveries(database: &Database, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(include_str!("sql/delete_stray_deliveries.sql"))
        .bind(database.last_delivery_seen())
        .bind(DELIVERIES_AT_ONCE)
        .fetch_one(connection)
        .await?;
    database.see_deliveries_until(row.try_get::<Option<Uuid>, _>("last")?.unwrap_or_default());
    Ok(false)
}
