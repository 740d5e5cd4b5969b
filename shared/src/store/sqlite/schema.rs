//! Migrations and health.

use async_trait::async_trait;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::Sqlite;
use super::file::failed;
use crate::domain::Timestamp;
use crate::store::cause::not_migrated;
use crate::store::{Schema, SchemaVersion, StoreError};

/// Every migration: number, name, text. A text that was released never changes: its checksum is on record.
const MIGRATIONS: [(i64, &str, &str); 15] = [
    (
        1,
        "create jobs and what waits",
        include_str!("../../../../migrations/sqlite/0001_create_jobs_and_what_waits.sql"),
    ),
    (2, "add tenants and api keys", include_str!("../../../../migrations/sqlite/0002_add_tenants_and_api_keys.sql")),
    (
        3,
        "add webhooks and deliveries",
        include_str!("../../../../migrations/sqlite/0003_add_webhooks_and_deliveries.sql"),
    ),
    (
        4,
        "add retries, queues and batches",
        include_str!("../../../../migrations/sqlite/0004_add_retries_queues_and_batches.sql"),
    ),
    (5, "add erasure and logs", include_str!("../../../../migrations/sqlite/0005_add_erasure_and_logs.sql")),
    (6, "let large bodies be blobs", include_str!("../../../../migrations/sqlite/0006_let_large_bodies_be_blobs.sql")),
    (
        7,
        "tell of batches that ended",
        include_str!("../../../../migrations/sqlite/0007_tell_of_batches_that_ended.sql"),
    ),
    (8, "add flow control", include_str!("../../../../migrations/sqlite/0008_add_flow_control.sql")),
    (
        9,
        "add leases of remote workers",
        include_str!("../../../../migrations/sqlite/0009_add_leases_of_remote_workers.sql"),
    ),
    (10, "make jobs by a clock", include_str!("../../../../migrations/sqlite/0010_make_jobs_by_a_clock.sql")),
    (
        11,
        "let upstreams end attempts",
        include_str!("../../../../migrations/sqlite/0011_let_upstreams_end_attempts.sql"),
    ),
    (
        12,
        "let schedules have a concurrency key",
        include_str!("../../../../migrations/sqlite/0012_let_schedules_have_a_concurrency_key.sql"),
    ),
    (
        13,
        "find what waits by its kind",
        include_str!("../../../../migrations/sqlite/0013_find_what_waits_by_its_kind.sql"),
    ),
    (
        14,
        "remember when permits are spent",
        include_str!("../../../../migrations/sqlite/0014_remember_when_permits_are_spent.sql"),
    ),
    (
        15,
        "let only the key find dispatches by id",
        include_str!("../../../../migrations/sqlite/0015_let_only_the_key_find_dispatches_by_id.sql"),
    ),
];

fn migrator() -> Migrator {
    let migration = |(version, name, text): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect());
    // A newer release has been here: its schema fits this one, or its notes say otherwise.
    migrator.set_ignore_missing(true);
    migrator
}

#[async_trait]
impl Schema for Sqlite {
    async fn migrate(&self) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        // Not `run`: in a boxed future its `Acquire` bound is "not general enough".
        migrator().run_direct(None, writer.connection()?, false).await.map_err(not_migrated)
    }

    async fn version(&self) -> Result<SchemaVersion, StoreError> {
        let needed = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
        let mut reader = self.file.reader().await?;
        let query = sqlx::query_scalar(include_str!("sql/find_migrations_table.sql"));
        let tables: i64 = query.fetch_one(&mut *reader).await.map_err(failed)?;
        if tables == 0 {
            return Ok(SchemaVersion { found: 0, needed });
        }
        let query = sqlx::query_scalar(include_str!("sql/find_schema_version.sql"));
        let found = query.fetch_one(&mut *reader).await.map_err(failed)?;
        Ok(SchemaVersion { found, needed })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let query = sqlx::query("SELECT 1");
        query.execute(&mut *self.file.reader().await?).await.map(drop).map_err(failed)
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    async fn describe(&self) -> Result<String, StoreError> {
        let query = sqlx::query_scalar("SELECT sqlite_version()");
        let version: String = query.fetch_one(&mut *self.file.reader().await?).await.map_err(failed)?;
        Ok(format!("SQLite {version}, {}", self.file.path().display()))
    }

    async fn close(&self) {
        self.file.close().await;
    }
}
