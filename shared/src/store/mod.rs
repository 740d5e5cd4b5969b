//! Where jobs are kept: the only truth about them.
//!
//! Each trait is what one caller needs; each method is one whole domain transaction. Two stores implement them,
//! [`postgres`] and [`sqlite`], and pass one contract suite (`tests/contracts/store`).

mod attempts;
mod batches;
mod cause;
mod deliveries;
mod erasures;
mod error;
mod jobs;
mod keys;
mod leases;
mod logs;
mod outbox;
mod permits;
pub mod postgres;
mod queues;
mod remote_leases;
mod schedules;
mod schema;
pub mod sqlite;
mod store_clock;
mod survey;
mod ticks;
mod upkeep;

use std::sync::Arc;

pub use attempts::{Attempts, Claim, ClaimedJob, Finish, Finished, FoundAttempt, ProgressReport};
pub use batches::{AcceptedWhole, Batches, CanceledWhole};
pub use deliveries::{AfterAttempt, Deliveries, DeliveryClaim, DueDelivery, DuePage, DueReceiver, Room};
pub use erasures::{Erased, Erasures};
pub use error::StoreError;
pub use jobs::{
    Accepted, AcceptedBatch, Canceled, Cursor, Glimpse, JobFilter, JobPage, Jobs, StoredResult, moved_past,
};
pub use keys::{FoundKeys, Keys};
pub use leases::{CancelOrder, Lease, LeaseError, Leases, Renewal};
pub use logs::{LONGEST_LINE, LogBatch, LogEntry, LoggedLine, Logs, lines_of};
pub use outbox::{Outbox, QueueDepth};
pub use permits::{LetGo, Look, Permits};
pub use queues::{LivingWorker, QueueLedger, Queues, WaitingJobs};
pub use remote_leases::{HandOver, LeaseOrder, LeasedJob, OverdueRun, RemoteLeases, RenewedLease, lease_of};
pub use schedules::{NewSchedule, PutSchedule, ScheduleOwner, Schedules};
pub use schema::{Schema, SchemaVersion};
pub use store_clock::StoreClock;
pub use survey::{RecentRun, Survey, WaitingBatch};
pub use ticks::{Fired, Firing, Ticks};
pub use upkeep::{Moved, Upkeep};

use crate::domain::{JobId, Status, Version};

/// A job changed: enough for a wake-up. Whoever cares reads the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which job.
    pub id: JobId,
    /// The version it reached.
    pub version: Version,
    /// The status it reached.
    pub status: Status,
}

/// One store, seen by its roles. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    /// What the HTTP API asks.
    pub jobs: Arc<dyn Jobs>,
    /// What the HTTP API asks about batches.
    pub batches: Arc<dyn Batches>,
    /// What a worker asks on a job's way.
    pub attempts: Arc<dyn Attempts>,
    /// How a worker shows that it lives.
    pub leases: Arc<dyn Leases>,
    /// What is asked for workers that lease jobs over HTTP.
    pub remote_leases: Arc<dyn RemoteLeases>,
    /// What the relay asks.
    pub outbox: Arc<dyn Outbox>,
    /// What lets jobs through that wait for permits.
    pub permits: Arc<dyn Permits>,
    /// What operators ask about queues.
    pub queues: Arc<dyn Queues>,
    /// What clients ask about schedules.
    pub schedules: Arc<dyn Schedules>,
    /// What makes the jobs of schedules asks.
    pub ticks: Arc<dyn Ticks>,
    /// What handlers wrote.
    pub logs: Arc<dyn Logs>,
    /// What lets data go before its job.
    pub erasures: Arc<dyn Erasures>,
    /// What estimates are made of.
    pub survey: Arc<dyn Survey>,
    /// What the repair loops ask.
    pub upkeep: Arc<dyn Upkeep>,
    /// What authentication asks.
    pub keys: Arc<dyn Keys>,
    /// What the webhooks' courier asks, and whoever wants to see what became of them.
    pub deliveries: Arc<dyn Deliveries>,
    /// Migrations and health.
    pub schema: Arc<dyn Schema>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
