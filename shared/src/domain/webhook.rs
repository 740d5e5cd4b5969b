//! What a client wants to be told of its jobs and batches, and where.

use core::fmt;
use core::str::FromStr;

use super::callback_url::CallbackUrl;
use super::delivery::DeliverySummary;
use super::status::Status;

/// Something that happens to a job, or to a batch, and can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// A worker took it; once for each attempt.
    Started,
    /// Its handler told how far it is.
    Progress,
    /// It ended with a result.
    Succeeded,
    /// It ended without one.
    Failed,
    /// It ended because somebody asked.
    Canceled,
    /// It never started in time.
    Expired,
    /// The last job of a batch ended.
    BatchCompleted,
}

impl Event {
    /// Those of a job.
    pub const OF_JOBS: [Self; 6] =
        [Self::Started, Self::Progress, Self::Succeeded, Self::Failed, Self::Canceled, Self::Expired];

    /// Those of a batch.
    pub const OF_BATCHES: [Self; 1] = [Self::BatchCompleted];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OF_JOBS.into_iter().chain(Self::OF_BATCHES)
    }

    /// What is told of a job when its client does not say what it wants to hear: every end.
    pub const ENDS: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Canceled, Self::Expired];

    /// The event of a job that has come to `status`, if that is an end.
    pub const fn of_end(status: Status) -> Option<Self> {
        match status {
            Status::Succeeded => Some(Self::Succeeded),
            Status::Failed => Some(Self::Failed),
            Status::Canceled => Some(Self::Canceled),
            Status::Expired => Some(Self::Expired),
            Status::Scheduled | Status::Queued | Status::InProgress | Status::Retrying => None,
        }
    }

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "job.started",
            Self::Progress => "job.progress",
            Self::Succeeded => "job.succeeded",
            Self::Failed => "job.failed",
            Self::Canceled => "job.canceled",
            Self::Expired => "job.expired",
            Self::BatchCompleted => "batch.completed",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown event {0:?}")]
pub struct UnknownEvent(pub String);

impl FromStr for Event {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let known = Self::all().find(|event| event.as_str() == text);
        known.ok_or_else(|| UnknownEvent(text.chars().take(80).collect()))
    }
}

/// A client's wish to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where.
    pub url: CallbackUrl,
    /// What, each once and never none.
    pub events: Vec<Event>,
}

/// A job's webhook as it can be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobWebhook {
    /// What the client wishes to be told.
    pub wish: Webhook,
    /// What became of the deliveries so far; `None`: there has been none.
    pub summary: Option<DeliverySummary>,
}
