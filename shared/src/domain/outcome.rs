//! How an attempt ended, as it is reported to the store.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::blob::{Body, Content};
use super::failure::{Failure, FailureCode};
use super::ids::Timestamp;

/// A result with its digest, worked out once, off the database's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The bytes and what they are.
    pub content: Content,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
}

impl Output {
    /// Of bytes that are here. Works out the digest: for many of them off the threads that everything else runs on.
    pub fn of(content_type: String, bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self { content: Content { content_type, body: Body::Inline(bytes) }, digest }
    }
}

/// The end of one attempt. The store turns it into a status by the rules of [`super::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It made this.
    Succeeded(Output),
    /// It failed and may be tried again after the delay; the last attempt that may count fails the job.
    Retry {
        /// Why.
        error: Failure,
        /// How long to wait, by the database's clock from the moment the end is recorded.
        delay: Duration,
    },
    /// It failed for good.
    Failed(Failure),
    /// The handler asks to be called again later; costs no attempt.
    Snoozed(Duration),
    /// The worker gives it back, draining; costs no attempt.
    Released,
}

impl Ended {
    /// What it made.
    pub const fn output(&self) -> Option<&Output> {
        match self {
            Self::Succeeded(output) => Some(output),
            Self::Retry { .. } | Self::Failed(_) | Self::Snoozed(_) | Self::Released => None,
        }
    }
}

/// What decides whether there is a next attempt.
#[derive(Debug, Clone, Copy)]
pub struct AttemptBounds {
    /// Attempts that may count.
    pub max_attempts: i32,
    /// No attempt starts after this.
    pub deadline: Option<Timestamp>,
    /// The time of day.
    pub now: Timestamp,
}

impl AttemptBounds {
    /// No delay that a handler asks for is longer: what it asks beyond that is a mistake that a database cannot count.
    pub const MAX_DELAY: Duration = Duration::from_hours(365 * 24);
    /// No snooze is shorter: it costs no attempt, so nothing else would stop a job that snoozes for nothing.
    pub const MIN_SNOOZE: Duration = Duration::from_millis(100);

    /// The end of an attempt that failed and would be tried again after `delay`: another attempt, unless none is left or
    /// it would come too late.
    pub fn retry(&self, mut error: Failure, delay: Duration) -> Ended {
        error.retryable = true;
        if error.attempt >= self.max_attempts {
            if self.max_attempts > 1 {
                error.code = FailureCode::AttemptsExhausted;
            }
            return Ended::Failed(error);
        }
        let delay = delay.min(Self::MAX_DELAY);
        if self.is_too_late(delay) {
            error.message.push_str(" (its deadline leaves no time for another attempt)");
            return Ended::Failed(error);
        }
        Ended::Retry { error, delay }
    }

    /// The end of an attempt that asks to be called again after a while. `too_late` makes the failure when there is no time
    /// for that.
    pub fn snooze(&self, delay: Duration, too_late: impl FnOnce(Duration) -> Failure) -> Ended {
        let delay = delay.clamp(Self::MIN_SNOOZE, Self::MAX_DELAY);
        if self.is_too_late(delay) { Ended::Failed(too_late(delay)) } else { Ended::Snoozed(delay) }
    }

    fn is_too_late(&self, delay: Duration) -> bool {
        self.deadline.is_some_and(|deadline| {
            time::Duration::try_from(delay).ok().and_then(|d| self.now.checked_add(d)).is_none_or(|t| t > deadline)
        })
    }
}
