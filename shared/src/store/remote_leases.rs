//! What is asked for workers that lease jobs over HTTP.
//!
//! Each lease is an incarnation of its own with one claim of one job: the same rows, fences and rescue as a worker's, only
//! that whoever holds it shows its life through any replica, and that the store knows until when it may run.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{Fence, JobId, KindName, LeaseId, QueueName, TenantName, Timestamp, Version, WorkerId};

/// What a remote worker wants to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOrder {
    /// Whose jobs.
    pub tenant: TenantName,
    /// Its name for people.
    pub name: String,
    /// Of which queues; paused ones are passed over.
    pub queues: Vec<QueueName>,
    /// Of which kinds.
    pub kinds: Vec<KindName>,
    /// An incarnation for each job that may come.
    pub incarnations: Vec<WorkerId>,
    /// How long each lease lasts from each renewal, by the store's clock.
    pub ttl: Duration,
    /// Inputs of more bytes than this do not come along.
    pub inline_limit: u64,
}

/// A job that is leased.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedJob {
    /// What to show when it ends.
    pub fence: Fence,
    /// The incarnation that holds it, and nothing else.
    pub worker: WorkerId,
    /// What sort of work.
    pub kind: KindName,
    /// Where it waited.
    pub queue: QueueName,
    /// The version that the lease gave it.
    pub version: Version,
    /// The input's media type.
    pub input_type: String,
    /// The input's bytes in all.
    pub input_size: u64,
    /// The input, unless it is too large to come along.
    pub input: Option<Bytes>,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// No further attempt starts after this.
    pub deadline: Option<Timestamp>,
    /// W3C trace context, as it came.
    pub traceparent: Option<String>,
    /// The lease is lost then, unless it is renewed.
    pub lease_until: Timestamp,
    /// The attempt may run until then.
    pub run_until: Timestamp,
}

/// A lease that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewedLease {
    /// What to show when it ends.
    pub fence: Fence,
    /// The incarnation that holds it.
    pub worker: WorkerId,
    /// The lease is lost then, unless it is renewed again.
    pub lease_until: Timestamp,
    /// The attempt may run until then.
    pub run_until: Timestamp,
    /// Whether a client asked that the job stop.
    pub cancel_requested: bool,
    /// Why, in the client's words.
    pub cancel_reason: Option<String>,
}

/// A running job that its worker hands over to whoever will end it from elsewhere, with the token of its fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOver {
    /// Which attempt; without the right token nothing is handed over.
    pub fence: Fence,
    /// Who runs it.
    pub worker: WorkerId,
    /// The incarnation that holds it from then on, made for it.
    pub to: WorkerId,
    /// Set on the last job of a claim to go: its record goes in the same commit.
    pub lease_done: Option<LeaseId>,
}

/// A leased job whose attempt has run for longer than it may.
#[derive(Debug, Clone, PartialEq)]
pub struct OverdueRun {
    /// Which attempt.
    pub fence: Fence,
    /// Who holds it.
    pub worker: WorkerId,
    /// What sort of work.
    pub kind: KindName,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// How long the attempt may run.
    pub run_timeout: Duration,
    /// No further attempt starts after this.
    pub deadline: Option<Timestamp>,
}

/// The remote workers' side of the store. Their ends are recorded by [`super::Attempts::finish`], with
/// [`lease_of`] as the claim that is done.
#[async_trait]
pub trait RemoteLeases: Send + Sync {
    /// Takes what waits longest, higher bands first, one job for each incarnation at most: `queued → in_progress`,
    /// attempt + 1, a fresh token, in one durable commit. A dispatch of more jobs than are wanted keeps the rest.
    ///
    /// On [`StoreError::Unavailable`] nothing is known: what the incarnations may hold is given back by
    /// [`super::Attempts::drop_stray_leases`] for each.
    async fn lease_waiting(&self, order: LeaseOrder) -> Result<Vec<LeasedJob>, StoreError>;

    /// Renews the lease of a tenant's job that runs under this token. `None`: it does not, or no longer.
    async fn renew_lease(
        &self,
        tenant: &TenantName,
        job: JobId,
        token: Uuid,
    ) -> Result<Option<RenewedLease>, StoreError>;

    /// Of these kinds of tenants those of which something waits in one of the queues, paused ones left out.
    async fn find_waiting_kinds(
        &self,
        wanted: &[(TenantName, KindName)],
        queues: &[QueueName],
    ) -> Result<Vec<(TenantName, KindName)>, StoreError>;

    /// Hands attempts over, durably, in one commit: from then on each lives under an incarnation of its own, which nobody
    /// renews, until it is ended or has run for as long as it may. Answers those that were handed over, now or by the same
    /// call before; the others are no longer their worker's. A cancel ends such an attempt at once.
    async fn hand_over(&self, attempts: &[HandOver]) -> Result<Vec<JobId>, StoreError>;

    /// Lists up to `limit` attempts that have run for longer than they may.
    async fn list_overdue_runs(&self, limit: u32) -> Result<Vec<OverdueRun>, StoreError>;

    /// Forgets those of these incarnations that hold no running job. To be called after their ends were recorded; one that
    /// stays is rescued like any other once its lease has run out, and has nothing to give back.
    async fn forget_leases(&self, incarnations: &[WorkerId]) -> Result<(), StoreError>;
}

/// The record of a remote lease's one claim.
pub fn lease_of(incarnation: WorkerId) -> LeaseId {
    LeaseId::new(incarnation.as_uuid())
}
