//! What a worker says of itself with each sign of life: what it serves, what it runs, what came of it.

use serde::{Deserialize, Serialize};

/// One worker, as it was at its latest renewal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReport {
    /// Handlers that it can run at once.
    pub slots: u64,
    /// It is no worker, but an upstream that runs one job and will end it itself.
    pub awaits_upstream: bool,
    /// Each queue that it serves.
    pub queues: Vec<QueueReport>,
    /// Ends of attempts since the incarnation began.
    pub ends: EndsByOutcome,
}

/// One queue, as one worker sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueReport {
    /// Its name.
    pub queue: String,
    /// Jobs of it that run there now.
    pub running: u64,
    /// Attempts that ended there lately, per second.
    pub ends_per_second: f64,
    /// How long they ran on average, in seconds; `None`: none has ended yet.
    pub run_seconds: Option<f64>,
}

/// Ends of attempts by what came of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndsByOutcome {
    /// The job succeeded.
    pub succeeded: u64,
    /// The job failed.
    pub failed: u64,
    /// Another attempt is due, after a failure or a snooze.
    pub retrying: u64,
    /// The job was canceled.
    pub canceled: u64,
    /// The job was given back, and waits.
    pub released: u64,
    /// The attempt had become somebody else's: nothing was recorded.
    pub fenced: u64,
}
