//! What estimates are made of.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Band, JobId, KindName, QueueName, Timestamp};

/// A run that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentRun {
    /// What ran.
    pub kind: KindName,
    /// Where it had waited.
    pub queue: QueueName,
    /// When its last attempt began.
    pub started_at: Timestamp,
    /// When that ended.
    pub finished_at: Timestamp,
}

/// Jobs that wait under one dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingBatch {
    /// Where they wait.
    pub queue: QueueName,
    /// In which band.
    pub band: Band,
    /// The first of them.
    pub first: JobId,
    /// How many there are.
    pub jobs: u64,
}

/// Bounded samples of what ran and of what waits, by whoever shows estimates.
#[async_trait]
pub trait Survey: Send + Sync {
    /// Runs that succeeded lately: of the newest `limit` jobs, and, since those have not run yet where the queue is long,
    /// for each kind that waits of the `limit` before the one that has waited longest.
    async fn list_recent_runs(&self, limit: u32) -> Result<Vec<RecentRun>, StoreError>;

    /// What has waited longest, `limit` dispatches of it, in the order in which they began to wait.
    async fn list_waiting(&self, limit: u32) -> Result<Vec<WaitingBatch>, StoreError>;
}
