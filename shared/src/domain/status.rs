//! The eight statuses a client can see.

use std::fmt;
use std::str::FromStr;

/// Where a job stands. `docs/job-lifecycle.md` draws the arrows between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Accepted for later: waits for its `run_at`. A timer moves it on.
    Scheduled,
    /// Ready to run: its dispatch is on its way to a worker. A claim moves it on.
    Queued,
    /// A worker holds it and its handler runs. The worker moves it on, or the reaper when that worker dies.
    InProgress,
    /// An attempt failed (or asked to be called again later) and another is due. A timer moves it on.
    Retrying,
    /// Ended with a result. Final.
    Succeeded,
    /// Ended without one, and no attempt is left or the failure was not worth another. Final.
    Failed,
    /// Ended because somebody asked. Final.
    Canceled,
    /// Never started in time. Final.
    Expired,
}

impl Status {
    /// All of them, in the order in which a job may meet them.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Queued,
        Self::InProgress,
        Self::Retrying,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
        Self::Expired,
    ];

    /// Whether the job has ended: nothing will change it any more.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Expired)
    }

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status {0:?}")]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}
