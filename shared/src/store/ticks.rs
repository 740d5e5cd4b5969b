//! What the loop asks that makes the jobs of schedules.

use async_trait::async_trait;

use super::{AcceptedBatch, StoreError};
use crate::domain::{JobId, NewJob, Schedule, ScheduleName, TenantName, Timestamp};

/// Ticks of one schedule that are dealt with: their jobs, and where it goes on.
#[derive(Debug, Clone)]
pub struct Firing {
    /// The schedule as it was read. Nothing happens if it is another by now.
    pub schedule: Schedule,
    /// The job of each tick that is run, in the order of their ticks.
    pub jobs: Vec<NewJob>,
    /// The last of those ticks, and its job.
    pub last: Option<(Timestamp, JobId)>,
    /// Ticks that are passed over.
    pub missed: u32,
    /// The first tick that is left.
    pub next_at: Option<Timestamp>,
}

/// What became of it.
#[derive(Debug)]
pub enum Fired {
    /// It is kept, all of it.
    Made(AcceptedBatch),
    /// Somebody else was quicker, or is at it. Nothing was kept.
    Elsewhere,
}

/// The schedules' side of the repair loops. Every method is safe to call from all replicas at once.
#[async_trait]
pub trait Ticks: Send + Sync {
    /// Schedules whose next tick has come at `now`, in the order of their ticks, those after this one, at most so many.
    async fn list_due_schedules(
        &self,
        now: Timestamp,
        after: Option<&Schedule>,
        limit: u32,
    ) -> Result<Vec<Schedule>, StoreError>;

    /// The first tick of all schedules after this instant. `None`: there is none.
    async fn next_tick(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Keeps the jobs of ticks and moves the schedule on, in one durable commit: a tick is run once, whoever asks and whoever
    /// dies. A job that cannot be kept is an error, and nothing was kept then.
    async fn fire_schedule(&self, firing: &Firing) -> Result<Fired, StoreError>;

    /// Notes why a tick that is due has no job, or (`None`) that all is well again.
    async fn note_schedule_problem(&self, schedule: &Schedule, problem: Option<&str>) -> Result<(), StoreError>;

    /// Removes schedules that were in some process's configuration, and that none has confirmed since then.
    async fn remove_unconfirmed_schedules(
        &self,
        before: Timestamp,
    ) -> Result<Vec<(TenantName, ScheduleName)>, StoreError>;
}
