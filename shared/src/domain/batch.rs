//! A batch: jobs that were submitted together, and how they stand as a whole.

use std::time::Duration;

use super::callback_url::CallbackUrl;
use super::delivery::DeliverySummary;
use super::ids::{BatchId, Timestamp};
use super::names::TenantName;
use super::new_job::{Idempotency, NewJob};

/// A batch that is about to be kept.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its id.
    pub id: BatchId,
    /// Whose it is, and so are its jobs.
    pub tenant: TenantName,
    /// Present when the client sent a key for the whole.
    pub idempotency: Option<Idempotency>,
    /// How long it is kept once it has ended: as long as the job of it that is kept longest.
    pub retention: Duration,
    /// How many items were sent, those included of which nothing is to be kept.
    pub items: usize,
    /// Its jobs, each with its place among the items, in their order.
    pub jobs: Vec<(usize, NewJob)>,
    /// Where its end is to be told.
    pub webhook: Option<CallbackUrl>,
}

/// Jobs of a batch by where they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Wait for their time.
    pub scheduled: u32,
    /// Wait for a worker.
    pub queued: u32,
    /// Run.
    pub in_progress: u32,
    /// Wait for their next attempt.
    pub retrying: u32,
    /// Ended with a result.
    pub succeeded: u32,
    /// Ended without one.
    pub failed: u32,
    /// Ended because somebody asked.
    pub canceled: u32,
    /// Never started in time.
    pub expired: u32,
}

impl BatchCounts {
    /// Jobs that have ended.
    pub const fn ended(&self) -> u32 {
        self.succeeded + self.failed + self.canceled + self.expired
    }
}

/// A batch as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id, which carries when it was accepted.
    pub id: BatchId,
    /// Whose it is.
    pub tenant: TenantName,
    /// The client's key for the whole.
    pub key: Option<String>,
    /// Its jobs.
    pub total: u32,
    /// Where they stand.
    pub counts: BatchCounts,
    /// The job that was submitted last of those that live.
    pub last_live: Option<super::JobId>,
    /// When somebody asked to cancel it.
    pub cancel_requested_at: Option<Timestamp>,
    /// When its last job ended.
    pub finished_at: Option<Timestamp>,
    /// When it will be forgotten, once it has ended.
    pub expires_at: Option<Timestamp>,
    /// Where its end is told, and what became of that.
    pub webhook: Option<BatchWebhook>,
}

/// A batch's webhook as it can be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchWebhook {
    /// Where.
    pub url: CallbackUrl,
    /// What became of the delivery; `None`: there is none yet.
    pub summary: Option<DeliverySummary>,
}
