//! What can go wrong with a store, by what the caller can do about it.

use crate::domain::JobId;

/// A store's refusal. `Clone`, since one failed batch answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or gave up on the way: try again later. Nothing is known of what was asked,
    /// unless the method says otherwise.
    #[error("the store is not available")]
    Unavailable(#[source] std::sync::Arc<dyn std::error::Error + Send + Sync>),
    /// The first submit with this idempotency key has not been decided for too long.
    #[error("another request with the same idempotency key is still being accepted")]
    KeyInFlight,
    /// This one row cannot be kept; its neighbours in the batch were.
    #[error("the store cannot keep this")]
    Rejected(#[source] std::sync::Arc<dyn std::error::Error + Send + Sync>),
    /// The schema is not the one this program knows.
    #[error("the store's schema is at version {found}, this program needs {needed}: run `raincheck migrate`")]
    WrongSchema {
        /// What the store has; 0 when it is empty.
        found: i64,
        /// What this program was built with.
        needed: i64,
    },
    /// What is stored contradicts itself; the cell is named for whoever must mend it.
    #[error("inconsistent data in {table}.{column} of {row:?}: {problem}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row, when it is a job's.
        row: Option<JobId>,
        /// What is wrong with it.
        problem: String,
    },
}

impl StoreError {
    /// An outage, with its cause.
    pub fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(std::sync::Arc::new(source))
    }
}
