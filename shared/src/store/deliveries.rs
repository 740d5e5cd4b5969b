//! What the webhooks' courier asks of a store, and whoever wants to see what became of a delivery.
//!
//! Deliveries are made by whatever makes their events ([`super::Attempts`], [`super::Jobs`], [`super::Upkeep`]), in the same
//! commit.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    Delivery, DeliveryAttempt, DeliveryId, DeliveryState, Event, JobId, TenantName, Timestamp, Version,
};

/// Somebody to whom something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReceiver {
    /// Host and port, as [`crate::domain::CallbackUrl::authority`].
    pub receiver: String,
    /// Since when the first of it is due.
    pub since: Timestamp,
    /// Whose job or batch that is of. `None`: it is gone.
    pub tenant: Option<TenantName>,
}

/// What a look at some receivers has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// Those to whom something is due, in the order of their names.
    pub due: Vec<DueReceiver>,
    /// Behind whom the next look goes on. `None`: there is nobody else.
    pub next: Option<String>,
}

/// How many deliveries to somebody may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Host and port, as [`crate::domain::CallbackUrl::authority`].
    pub receiver: String,
    /// Deliveries at most.
    pub deliveries: u32,
}

/// The right to record an attempt: it ends when somebody else takes the delivery up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryClaim {
    /// Which delivery.
    pub id: DeliveryId,
    /// Rises with each claim.
    pub number: i32,
}

/// A delivery that is now the caller's to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// What to show when the attempt is over.
    pub claim: DeliveryClaim,
    /// What it tells.
    pub event: Event,
    /// Host and port, as [`crate::domain::CallbackUrl::authority`].
    pub receiver: String,
    /// When the event happened.
    pub created_at: Timestamp,
    /// Attempts that came to nothing since the schedule began.
    pub tries: usize,
}

/// What comes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterAttempt {
    /// Another one, that much later.
    Again(Duration),
    /// Nothing: [`DeliveryState::Delivered`], or given up.
    Over(DeliveryState),
}

/// The courier's side of the store.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Looks at `limit` receivers who have deliveries on their way, in the order of their names from behind `after` on. What
    /// it costs follows from their number, not from that of the deliveries.
    async fn list_due(&self, after: Option<&str>, limit: u32) -> Result<DuePage, StoreError>;

    /// Takes deliveries that are due, to each of these receivers those that have been due for longest, no more than there is
    /// room for. Until `hold` has passed, other couriers leave them alone; after that the caller is taken for dead.
    async fn claim_due(&self, room: &[Room], hold: Duration) -> Result<Vec<DueDelivery>, StoreError>;

    /// Records what became of an attempt; without one only what comes after. False: the claim has ended, and nothing was
    /// recorded.
    async fn record_attempt(
        &self,
        claim: DeliveryClaim,
        attempt: Option<&DeliveryAttempt>,
        after: AfterAttempt,
    ) -> Result<bool, StoreError>;

    /// Records that an attempt has told a receiver of progress: of its job as it was at version `told`. If the job has said more
    /// since, while it was told of this, a delivery of that takes the place of this one in the same commit, due a second after
    /// it at the earliest. False: the claim has ended, and nothing was recorded.
    async fn record_told_progress(
        &self,
        claim: DeliveryClaim,
        attempt: &DeliveryAttempt,
        told: Version,
    ) -> Result<bool, StoreError>;

    /// Lists a job's deliveries, the latest first, `limit` at most, starting below version `before`.
    async fn list_deliveries(
        &self,
        job: JobId,
        before: Option<Version>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Reads one delivery. `None`: there is none.
    async fn find_delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Makes a delivery due now, whatever became of it, with its whole schedule before it. `None`: there is no such
    /// delivery, or its job or batch is forgotten.
    async fn redeliver(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
}

/// A state and a pause as the stores keep them.
pub(crate) fn kept(after: AfterAttempt) -> (DeliveryState, Option<Duration>) {
    match after {
        AfterAttempt::Again(pause) => (DeliveryState::Pending, Some(pause)),
        AfterAttempt::Over(state) => (state, None),
    }
}
