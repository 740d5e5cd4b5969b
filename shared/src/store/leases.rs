//! How a worker shows that it lives.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{JobId, QueueName, WorkerId, WorkerReport};

/// A cancel that a worker is to pass on to a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelOrder {
    /// Which job.
    pub job: JobId,
}

/// What a renewal answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Running jobs of this worker that are to be canceled.
    pub orders: Vec<CancelOrder>,
    /// Queues of which nothing new is to be started, in order.
    pub paused: Vec<QueueName>,
    /// Whether something has waited for seconds to be published for the first time. A broker may hand out messages and take none: then what is to be
    /// done is in the store alone, whatever the link to the broker looks like.
    pub unpublished: bool,
}

/// Why a lease could not be renewed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseError {
    /// This incarnation was declared dead: its jobs are somebody else's now. Stop all handlers and start anew.
    #[error("this worker was declared dead; its jobs run elsewhere")]
    Lost,
    /// The store did not answer: try again, and stop the handlers before the lease ends.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One incarnation's hold on life: a row that is renewed, and where the store can, a session lock that is freed the
/// moment the process dies. Lives on a connection of its own and is driven from a thread of its own.
#[async_trait]
pub trait Lease: Send {
    /// Renews the row, which then says what `report` does. Takes the session lock again, on a new connection, when the
    /// old one was lost.
    async fn renew(&mut self, report: &WorkerReport) -> Result<Renewal, LeaseError>;

    /// Ends the incarnation, once it holds no job: the row and the lock go.
    async fn end(self: Box<Self>) -> Result<(), StoreError>;
}

/// Makes leases.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Registers incarnation `worker`, named `name` for people, whose lease lasts `ttl` from each renewal by the
    /// store's clock. `session_lock`: also hold the lock.
    async fn register(
        &self,
        worker: WorkerId,
        name: &str,
        ttl: Duration,
        session_lock: bool,
    ) -> Result<Box<dyn Lease>, StoreError>;
}
