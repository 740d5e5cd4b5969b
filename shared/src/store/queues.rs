//! What is asked about queues as such, and how they are paused.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{QueueName, Timestamp, WorkerId, WorkerReport};

/// Jobs that wait in one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingJobs {
    /// The queue; never one in which nothing waits.
    pub queue: QueueName,
    /// How many.
    pub jobs: u64,
    /// For how long the one that waits longest has waited.
    pub oldest: Duration,
}

/// One worker that lives.
#[derive(Debug, Clone, PartialEq)]
pub struct LivingWorker {
    /// The incarnation.
    pub id: WorkerId,
    /// Its name for people.
    pub name: String,
    /// It leases jobs over HTTP: this is one of its leases, and it has as many as it runs jobs.
    pub is_remote: bool,
    /// How long ago its latest sign of life came.
    pub silent_for: Duration,
    /// What it said then.
    pub report: WorkerReport,
}

/// All queues at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueLedger {
    /// What waits.
    pub waiting: Vec<WaitingJobs>,
    /// Queues that are paused, and since when.
    pub paused: Vec<(QueueName, Timestamp)>,
    /// Who works: whose lease has not run out.
    pub workers: Vec<LivingWorker>,
}

/// The operator's side of queues.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Reads how all queues stand.
    async fn find_ledger(&self) -> Result<QueueLedger, StoreError>;

    /// Pauses a queue: from their next renewal on, workers start nothing of it. One that is paused stays so since when it
    /// is.
    async fn pause_queue(&self, queue: &QueueName) -> Result<(), StoreError>;

    /// Opens a queue again. One that is open stays so.
    async fn resume_queue(&self, queue: &QueueName) -> Result<(), StoreError>;
}
