//! How an attempt ended, as the worker reports it to the store.

use std::time::Duration;

use super::blob::Content;
use super::failure::Failure;

/// A result with its digest, worked out once, off the database's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The bytes and what they are.
    pub content: Content,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
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
