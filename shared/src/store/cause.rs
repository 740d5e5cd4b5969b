//! An error of sqlx, said as whoever has to mend it should read it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use sqlx::migrate::MigrateError;

use super::StoreError;

/// What went wrong, said once: sqlx repeats in most of its errors what their source says, and adds to what PostgreSQL
/// answers a line of PostgreSQL's own code.
#[derive(Debug)]
pub(super) struct Cause(pub(super) sqlx::Error);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            sqlx::Error::Database(error) => f.write_str(error.message()),
            sqlx::Error::Io(error) => error.fmt(f),
            other => other.fmt(f),
        }
    }
}

impl Error for Cause {
    /// What lies below that which has been said.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            sqlx::Error::Io(error) => error.source(),
            sqlx::Error::Configuration(said)
            | sqlx::Error::Tls(said)
            | sqlx::Error::Encode(said)
            | sqlx::Error::Decode(said)
            | sqlx::Error::ColumnDecode { source: said, .. } => said.source(),
            _ => None,
        }
    }
}

/// A migration that broke off.
#[derive(Debug, thiserror::Error)]
#[error("migration {number} failed")]
struct FailedMigration {
    number: i64,
    #[source]
    cause: Cause,
}

/// Why a schema is not up to date, as the caller of a store sees it.
pub(super) fn not_migrated(error: MigrateError) -> StoreError {
    // Time mends an outage, and a lock that somebody holds. It mends no text that was changed, and gives nobody a right.
    match error {
        MigrateError::Execute(error) if lacks_rights(&error) => StoreError::Rejected(Arc::new(Cause(error))),
        MigrateError::Execute(error) => StoreError::unavailable(Cause(error)),
        MigrateError::ExecuteMigration(error, number) if lacks_rights(&error) => {
            StoreError::Rejected(Arc::new(FailedMigration { number, cause: Cause(error) }))
        }
        MigrateError::ExecuteMigration(error, number) => {
            StoreError::unavailable(FailedMigration { number, cause: Cause(error) })
        }
        error @ (MigrateError::VersionMismatch(_) | MigrateError::Dirty(_)) => StoreError::Rejected(Arc::new(error)),
        other => StoreError::unavailable(other),
    }
}

fn lacks_rights(error: &sqlx::Error) -> bool {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == INSUFFICIENT_PRIVILEGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Chain;

    fn said(error: sqlx::Error) -> String {
        Chain(&StoreError::unavailable(Cause(error))).to_string()
    }

    #[test]
    fn every_cause_is_said_once() {
        let io = || std::io::Error::other("no route");
        assert_eq!(said(sqlx::Error::Io(io())), "the store is not available: no route");
        for (error, expected) in [
            (sqlx::Error::Decode(Box::new(StoreError::unavailable(io()))), "the store is not available: no route"),
            (sqlx::Error::Tls(Box::new(io())), "no route"),
            (sqlx::Error::PoolClosed, "closed pool"),
        ] {
            let said = said(error);
            assert!(said.ends_with(expected) && said.matches(expected).count() == 1, "{said}");
        }
        let migration = not_migrated(MigrateError::ExecuteMigration(sqlx::Error::Io(io()), 7));
        assert_eq!(Chain(&migration).to_string(), "the store is not available: migration 7 failed: no route");
        let changed = not_migrated(MigrateError::VersionMismatch(7));
        assert!(matches!(changed, StoreError::Rejected(_)), "{changed}: no time mends that");
    }
}
