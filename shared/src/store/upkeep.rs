//! What the repair loops ask of a store. Every method is safe to call from all replicas at once.

use std::time::Duration;

use async_trait::async_trait;

use super::{Change, StoreError};
use crate::domain::{BlobOwner, Dispatch, JobId};

/// What a repair moved.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Jobs that changed.
    pub changes: Vec<Change>,
    /// Dispatches of those that wait again, for the relay.
    pub dispatches: Vec<Dispatch>,
    /// Whether there was more to do than was done: call again at once.
    pub more: bool,
}

/// The repair loops' side of the store.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Fires up to `limit` timers that are due: `scheduled` and `retrying` jobs are queued, unstarted ones whose time
    /// has passed expire, those that wait for another attempt past their deadline fail, canceled ones whose grace is over
    /// are revoked. A timer that no longer applies just goes.
    async fn fire_timers(&self, limit: u32) -> Result<Moved, StoreError>;

    /// How long until the earliest timer is due by the store's clock; zero when one is overdue; `None` without one.
    async fn next_timer(&self) -> Result<Option<Duration>, StoreError>;

    /// Finds one dead worker and gives its jobs back, uncounted but for a crash; a job that has crashed `max_crashes`
    /// times fails as `worker-lost`. `None`: nobody is dead.
    ///
    /// Dead is whose session lock is free and whose heartbeat is older than one should be, or whose lease has run out.
    /// After the store itself was away neither means anything: only a worker that missed a whole lease *while the store
    /// was up* is dead then. `store_up_for`: for how long the caller has seen it answer without a break; `None`: since
    /// the caller started. The store adds what it knows of its own start. `listening_for`: for how long the caller has
    /// taken the signs of life of remote workers, who show them to nobody else; only one that missed a whole lease
    /// meanwhile is dead.
    ///
    /// A look that reaches the store long after it was sent, say because that was frozen, finds nobody, and is an error: the
    /// store was away.
    async fn rescue_dead_worker(
        &self,
        max_crashes: i32,
        store_up_for: Option<Duration>,
        listening_for: Duration,
    ) -> Result<Option<Moved>, StoreError>;

    /// Removes what has outlived its retention, a bounded amount a call. True: there is more.
    async fn remove_expired(&self) -> Result<bool, StoreError>;

    /// What the rows of some jobs say of their blobs. A job whose retention is over needs none; one that has no row is left
    /// out.
    async fn list_blob_owners(&self, jobs: &[JobId]) -> Result<Vec<BlobOwner>, StoreError>;

    /// A job that has a blob, as far as the latest few thousand tell: the oldest of those that do. For `raincheck doctor`.
    async fn find_blob_owner(&self) -> Result<Option<JobId>, StoreError>;

    /// Sees to it that the partitions of the days ahead exist.
    async fn prepare_partitions(&self) -> Result<(), StoreError>;
}
