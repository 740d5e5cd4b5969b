//! What an error of the database means to the caller.

use std::io;
use std::sync::Arc;

use sqlx::error::DatabaseError;

use crate::store::StoreError;
use crate::store::cause::Cause;

/// The first two characters of an `SQLSTATE` that blame the data: out of range, against a constraint, too large.
const DATA: [&str; 3] = ["22", "23", "54"];

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(DatabaseError::code).map(Into::into)
}

/// Whether the data is to blame, and not the server or the way to it.
pub(super) fn blames_data(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Encode(_))
        || code(error).is_some_and(|code| DATA.iter().any(|class| code.starts_with(class)))
}

/// Whether the statement waited for another transaction's lock longer than it may.
pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "55P03")
}

/// Whether the statement was undone since another transaction was in its way.
pub(super) fn is_lock_conflict(error: &sqlx::Error) -> bool {
    is_lock_timeout(error) || code(error).is_some_and(|code| code == "40P01")
}

/// Whether the statement was certainly undone for a reason that may lie in a single row of its batch, so that each row
/// deserves a try of its own.
pub(super) fn may_be_one_row(error: &sqlx::Error) -> bool {
    blames_data(error) || is_lock_conflict(error)
}

/// Whether a row that something still refers to was to be deleted, or one that refers to nothing was to be written.
pub(super) fn is_missing_reference(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(DatabaseError::is_foreign_key_violation)
}

/// Whether nobody has migrated yet.
pub(super) fn is_missing_table(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "42P01")
}

/// Whether the connection can be used no more, and its siblings are probably no better.
pub(super) fn is_broken_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            code(error).is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25006")
        }
        sqlx::Error::Io(e) => e.kind() != io::ErrorKind::TimedOut,
        sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether the server does not take connections at this moment: it is not there, starting, or full.
pub(super) fn is_not_there_yet(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => code(error).is_some_and(|code| code == "57P03" || code == "53300"),
        sqlx::Error::Io(e) => e.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// The answer that never came.
pub(super) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}

/// A wait for a connection that was in vain, and why the last try to open one was.
#[derive(Debug, thiserror::Error)]
#[error("there was no connection to the database in time")]
struct NoConnection(#[source] Option<Arc<Cause>>);

/// The connection that never came about, or never came back.
pub(super) fn no_connection(last_try: Option<Arc<Cause>>) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, NoConnection(last_try)))
}

/// The error as the caller of a store sees it.
pub(super) fn refusal(error: sqlx::Error) -> StoreError {
    if blames_data(&error) {
        StoreError::Rejected(Arc::new(Cause(error)))
    } else {
        StoreError::unavailable(Cause(error))
    }
}
