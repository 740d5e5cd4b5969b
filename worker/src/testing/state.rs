//! How a job under trial stands.

use std::time::Duration;

use raincheck_shared::domain::{Failure, Payload};

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// An attempt runs.
    Running,
    /// The next attempt comes after this pause.
    Waiting {
        /// What is left of the pause.
        pause: Duration,
        /// Why the last one failed; nothing if it asked for a snooze.
        error: Option<Failure>,
    },
    /// It made this.
    Succeeded(Payload),
    /// It failed, for good or once too often.
    Failed(Failure),
    /// It was canceled, and stopped.
    Canceled,
    /// Its attempt goes on elsewhere.
    HandedOver,
}
