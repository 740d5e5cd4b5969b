//! Why the engine could not do what was asked. What is wrong with a submission is an [`super::Rejection`].

use std::time::Duration;

use raincheck_shared::domain::{BatchId, DeliveryId, JobId, QueueName, ScheduleName, Status};
use raincheck_shared::lifecycle::Overloaded;
use raincheck_shared::store::StoreError;
use raincheck_shared::telemetry::Chain;

use super::Level;

/// A refusal, by what the client can do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Too much waits to be written or read.
    #[error("too many requests are waiting for the store")]
    Busy,
    /// All places for large bodies are taken, or all but those that are kept for other tenants.
    #[error("as many large bodies as this server takes at once are on their way already")]
    Receiving,
    /// The queue holds as many jobs as it may.
    #[error("queue {queue} holds {waiting} jobs already")]
    QueueFull {
        /// Which queue.
        queue: QueueName,
        /// How many wait.
        waiting: u64,
    },
    /// The tenant has submitted as often as it may.
    #[error("the quota submits_per_minute of {} is used up", .0.quota)]
    OverSubmits(Level),
    /// The tenant has as many jobs waiting as it may.
    #[error("the quota queued is used up: {most} jobs are waiting already")]
    OverQueued {
        /// How many may.
        most: u64,
    },
    /// A batch alone has more jobs that would wait than the tenant may have, so it never finds room.
    #[error("the quota queued is {most} jobs that wait, and of this batch alone {waiting} would: send fewer at a time")]
    BatchOverQueued {
        /// How many would wait.
        waiting: u64,
        /// How many may.
        most: u64,
    },
    /// The store took longer than anybody should wait. Nothing is known of what was asked.
    #[error("the store has not answered within {} seconds", .0.as_secs())]
    StoreSilent(Duration),
    /// The store is away. Nothing is known of what was asked.
    #[error("the store is not available")]
    StoreAway,
    /// The blob store is away, or full. Nothing was kept.
    #[error("the blob store, where large bodies go, cannot be reached or has no room")]
    BlobsAway,
    /// The body took so long that what was written of it may not be kept any more.
    #[error("the body took too long to arrive")]
    TooSlow,
    /// The store's schema is older than this program.
    #[error("the store is being migrated")]
    Migrating,
    /// The first submit with this idempotency key is not decided yet.
    #[error("another request with the same idempotency key is still being accepted")]
    KeyInFlight,
    /// The store cannot keep this one, though nothing was found wrong with it.
    #[error("the store cannot keep this")]
    Unkeepable,
    /// What is stored contradicts itself.
    #[error("what is stored of this contradicts itself")]
    Inconsistent,
    /// This process is stopping and accepts nothing new.
    #[error("this server is shutting down")]
    ShuttingDown,
    /// The key belongs to another request.
    #[error("the idempotency key was first used for job {first}, with another request")]
    KeyReused {
        /// The job that holds the key.
        first: JobId,
    },
    /// Only what ended without a result can be tried once more.
    #[error("job {0} has succeeded: there is nothing to try once more")]
    Succeeded(JobId),
    /// It has not ended yet.
    #[error("job {0} has not ended")]
    NotEnded(JobId),
    /// The input is gone, though the job is still known.
    #[error("the input of job {0} is gone")]
    InputGone(JobId),
    /// The key belongs to another batch.
    #[error("the idempotency key was first used for batch {first}, with another request")]
    BatchKeyReused {
        /// The batch that holds the key.
        first: BatchId,
    },
    /// An item of a batch that was not kept when the batch was, and that is not kept now either.
    #[error("this was not kept when the batch was first sent: send it in another batch")]
    LeftOut,
    /// There is no such batch, as far as anybody can tell.
    #[error("there is no batch {0}")]
    UnknownBatch(BatchId),
    /// There was such a batch, or can have been, and it has outlived its retention.
    #[error("batch {0} is past its retention")]
    ExpiredBatch(BatchId),
    /// There is no such queue.
    #[error("there is no queue {0}")]
    UnknownQueue(QueueName),
    /// There is no such schedule, or it is another tenant's.
    #[error("there is no schedule {0}")]
    UnknownSchedule(ScheduleName),
    /// What is in the configuration is changed there.
    #[error("schedule {0} is one of the configuration: it can be paused and asked for a job here, and nothing else")]
    ConfiguredSchedule(ScheduleName),
    /// The tenant has as many schedules as it may.
    #[error("a tenant may have {most} schedules, and there are as many: delete one first")]
    TooManySchedules {
        /// How many may be.
        most: u32,
    },
    /// The job does not run under this lease, or no longer.
    #[error("this lease is not held: it has run out or was ended, or its job took longer than it may")]
    LeaseLost,
    /// The lease was ended before, and not as it is said to end now.
    #[error("this lease was ended before, and otherwise: its job is {0}")]
    LeaseEnded(Status),
    /// There is no such job, as far as anybody can tell.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// There is no such delivery, or what it tells of is past its retention.
    #[error("there is no delivery {0}")]
    UnknownDelivery(DeliveryId),
    /// It has ended, so how far it is is told no more.
    #[error("job {0} has ended: its progress is not told any more")]
    NoProgress(JobId),
    /// There was such a job, or can have been, and it has outlived its retention.
    #[error("job {0} is past its retention")]
    ExpiredJob(JobId),
}

impl Refusal {
    /// Whether it says nothing about what was asked for: the store cannot be asked at the moment.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Busy | Self::Receiving | Self::StoreSilent(_) | Self::StoreAway | Self::Migrating)
    }
}

impl From<StoreError> for Refusal {
    /// Logs what clients are not told: the causes may name hosts and files.
    fn from(error: StoreError) -> Self {
        let cause = Chain(&error);
        match &error {
            StoreError::Unavailable(_) => {
                // At debug: an outage has one line of each loop, and each answer says so.
                tracing::debug!(error = %cause, "the store is not available");
                Self::StoreAway
            }
            StoreError::WrongSchema { .. } => {
                tracing::error!(error = %cause, "the store cannot be used");
                Self::Migrating
            }
            StoreError::KeyInFlight => Self::KeyInFlight,
            StoreError::Rejected(_) => {
                tracing::warn!(error = %cause, "the store refused a request that was found good");
                Self::Unkeepable
            }
            StoreError::Inconsistent { .. } => {
                tracing::error!(error = %cause, "the store contradicts itself");
                Self::Inconsistent
            }
        }
    }
}

impl From<Overloaded> for Refusal {
    fn from(Overloaded: Overloaded) -> Self {
        Self::Busy
    }
}
