//! What a store does to let data go before its job.

use std::time::Duration;

use async_trait::async_trait;

use super::{Change, StoreError};
use crate::domain::{JobId, Status};

/// What became of a request to erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erased {
    /// Input, output and logs are gone.
    Now(Change),
    /// They were gone before.
    Already,
    /// The job has not ended: nothing was done.
    Live(Status),
    /// There is no such job.
    Unknown,
}

/// The eraser's side of the store.
#[async_trait]
pub trait Erasures: Send + Sync {
    /// Erases the input, the output, the logs and what the handler said of an ended job, in one durable commit. What is left
    /// tells that there was such a job, when, and how it ended.
    async fn erase_job(&self, id: JobId) -> Result<Erased, StoreError>;

    /// How long a job's input is kept after the end, in whole seconds. `None`: as long as its job, or it has gone already.
    async fn find_input_retention(&self, id: JobId) -> Result<Option<Duration>, StoreError>;

    /// Erases up to `limit` inputs whose own retention is over. True: there is more to look at.
    async fn erase_due_inputs(&self, limit: u32) -> Result<bool, StoreError>;
}
