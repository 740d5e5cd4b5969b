//! Why the engine could not do what was asked. What is wrong with a submission is an [`super::Rejection`].

use std::time::Duration;

use raincheck_shared::domain::{JobId, QueueName};
use raincheck_shared::lifecycle::Overloaded;
use raincheck_shared::store::StoreError;

/// A refusal, by what the client can do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Too much waits to be written or read.
    #[error("too many requests are waiting for the store")]
    Busy,
    /// The queue holds as many jobs as it may.
    #[error("queue {queue} holds {waiting} jobs already")]
    QueueFull {
        /// Which queue.
        queue: QueueName,
        /// How many wait.
        waiting: u64,
    },
    /// The store took longer than anybody should wait. Nothing is known of what was asked.
    #[error("the store has not answered within {0:?}")]
    StoreSilent(Duration),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This process is stopping and accepts nothing new.
    #[error("this server is shutting down")]
    ShuttingDown,
    /// The key belongs to another request.
    #[error("the idempotency key was first used for job {first}, with another request")]
    KeyReused {
        /// The job that holds the key.
        first: JobId,
    },
    /// There is no such job, as far as anybody can tell.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// There was such a job, or can have been, and it has outlived its retention.
    #[error("job {0} is past its retention")]
    ExpiredJob(JobId),
}

impl From<Overloaded> for Refusal {
    fn from(Overloaded: Overloaded) -> Self {
        Self::Busy
    }
}
