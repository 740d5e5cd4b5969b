//! Migrations and health.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlSafeStr};

use super::database::{Database, Lane};
use super::partitions;
use super::refusal::{is_missing_table, refusal};
use super::rows::Cells;
use crate::domain::Timestamp;
use crate::store::cause::not_migrated;
use crate::store::{Schema, SchemaVersion, StoreError};

/// What is applied, in order: number, name, statements.
const MIGRATIONS: [(i64, &str, &str); 15] = [
    (
        1,
        "create jobs and what waits",
        include_str!("../../../../migrations/postgres/0001_create_jobs_and_what_waits.sql"),
    ),
    (2, "add tenants and api keys", include_str!("../../../../migrations/postgres/0002_add_tenants_and_api_keys.sql")),
    (
        3,
        "add webhooks and deliveries",
        include_str!("../../../../migrations/postgres/0003_add_webhooks_and_deliveries.sql"),
    ),
    (
        4,
        "add retries, queues and batches",
        include_str!("../../../../migrations/postgres/0004_add_retries_queues_and_batches.sql"),
    ),
    (5, "add erasure and logs", include_str!("../../../../migrations/postgres/0005_add_erasure_and_logs.sql")),
    (
        6,
        "let large bodies be blobs",
        include_str!("../../../../migrations/postgres/0006_let_large_bodies_be_blobs.sql"),
    ),
    (
        7,
        "tell of batches that ended",
        include_str!("../../../../migrations/postgres/0007_tell_of_batches_that_ended.sql"),
    ),
    (8, "add flow control", include_str!("../../../../migrations/postgres/0008_add_flow_control.sql")),
    (
        9,
        "add leases of remote workers",
        include_str!("../../../../migrations/postgres/0009_add_leases_of_remote_workers.sql"),
    ),
    (10, "make jobs by a clock", include_str!("../../../../migrations/postgres/0010_make_jobs_by_a_clock.sql")),
    (
        11,
        "let upstreams end attempts",
        include_str!("../../../../migrations/postgres/0011_let_upstreams_end_attempts.sql"),
    ),
    (
        12,
        "let schedules have a concurrency key",
        include_str!("../../../../migrations/postgres/0012_let_schedules_have_a_concurrency_key.sql"),
    ),
    (
        13,
        "find what waits by its kind",
        include_str!("../../../../migrations/postgres/0013_find_what_waits_by_its_kind.sql"),
    ),
    (
        14,
        "remember when permits are spent",
        include_str!("../../../../migrations/postgres/0014_remember_when_permits_are_spent.sql"),
    ),
    (
        15,
        "let only the key find dispatches by id",
        include_str!("../../../../migrations/postgres/0015_let_only_the_key_find_dispatches_by_id.sql"),
    ),
];

/// A migration may have to rewrite what is there.
const MIGRATION_TIMEOUT: Duration = Duration::from_hours(1);

/// How long it may hold up others that way.
const LOCK_TIMEOUT: &str = "200ms";

/// A store that takes longer to answer at all is not well.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What cannot be worked with, though it answers.
#[derive(Debug, thiserror::Error)]
enum ServerError {
    #[error("it takes no writes: a standby, or `default_transaction_read_only` is on")]
    ReadOnly,
    #[error(
        "a pooler has dropped the settings of its session: connect to PostgreSQL itself, transactions cannot be pooled"
    )]
    Pooled,
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, name, statements)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, statements.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    // A newer release has migrated already, and this one still runs: migrations expand first and contract later.
    migrator.set_ignore_missing(true);
    migrator
}

#[async_trait]
impl Schema for Database {
    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connect(Lane::Durable, MIGRATION_TIMEOUT).await.map_err(refusal)?;
        // All statements on a table queue up behind one that waits to change it: rather try again in a while.
        let patience = sqlx::query("SELECT set_config('lock_timeout', $1, false)").bind(LOCK_TIMEOUT);
        patience.execute(&mut connection).await.map_err(refusal)?;
        // Not `run`: its bounds hide from the compiler that this future may move between threads.
        migrator().run_direct(None, &mut connection, false).await.map_err(not_migrated)?;
        // The session ends here anyway, and with it the lock.
        let _ = connection.close().await;
        partitions::prepare(self).await
    }

    async fn version(&self) -> Result<SchemaVersion, StoreError> {
        let needed = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
        let query = sqlx::query("SELECT COALESCE(max(version), 0) AS found FROM _sqlx_migrations WHERE success");
        match self.fetch_until(self.deadline(), Lane::Relaxed, query).await {
            Ok(rows) => {
                let found = rows.first().map(|row| Cells::of("_sqlx_migrations", row).get("found")).transpose()?;
                Ok(SchemaVersion { found: found.unwrap_or(0), needed })
            }
            Err(error) if is_missing_table(&error) => Ok(SchemaVersion { found: 0, needed }),
            Err(error) => Err(refusal(error)),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let deadline = self.deadline_within(PING_TIMEOUT);
        // On the connections that keep what is accepted: others may be had while those are not.
        let query = sqlx::query(include_str!("sql/ping.sql"));
        let rows = self.fetch_until(deadline, Lane::Durable, query).await.map_err(refusal)?;
        let row = rows.first().ok_or_else(|| StoreError::unavailable(sqlx::Error::RowNotFound))?;
        let row = Cells::of("pg_settings", row);
        if row.get::<bool>("is_read_only")? {
            return Err(StoreError::unavailable(ServerError::ReadOnly));
        }
        if row.get::<bool>("is_as_asked")? { Ok(()) } else { Err(StoreError::unavailable(ServerError::Pooled)) }
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        let deadline = self.deadline_within(PING_TIMEOUT);
        let query = sqlx::query("SELECT clock_timestamp() AS time");
        let rows = self.fetch_until(deadline, Lane::Relaxed, query).await.map_err(refusal)?;
        let row = rows.first().ok_or_else(|| StoreError::unavailable(sqlx::Error::RowNotFound))?;
        Cells::of("clock_timestamp", row).get("time")
    }

    async fn describe(&self) -> Result<String, StoreError> {
        let query = sqlx::query(include_str!("sql/describe_server.sql"));
        let rows = self.fetch(Lane::Durable, query).await?;
        rows.first().map_or_else(|| Ok(String::new()), |row| Cells::of("pg_settings", row).get("description"))
    }

    async fn close(&self) {
        self.close_connections().await;
    }
}
