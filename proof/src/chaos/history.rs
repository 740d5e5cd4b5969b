//! What happened in a trial, as four witnesses tell it: clients, handlers, tables, the receiver of webhooks; and what was done to the processes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::listener::Told;
use super::moment::Moment;

/// All of it.
#[derive(Debug, Default, Clone)]
pub struct History {
    /// Every answer that a client got, and every request that got none.
    pub seen: Vec<Seen>,
    /// Every run of a handler.
    pub runs: Vec<Run>,
    /// The jobs as the tables hold them at the end.
    pub rows: Vec<Row>,
    /// Deliveries of jobs' events, as their table holds them.
    pub deliveries: HashSet<Told>,
    /// What the receiver of webhooks has heard of.
    pub told: HashSet<Told>,
    /// Key and job, as the table of keys holds them.
    pub keys: Vec<(String, String)>,
    /// When workers were dead, frozen or cut off.
    pub absences: Vec<Absence>,
    /// Which process each incarnation of a worker was.
    pub incarnations: HashMap<String, String>,
    /// What should not be there at the end.
    pub left: Vec<String>,
    /// When a replica announced jobs of a queue once more because the broker showed nothing for them.
    pub announced_again: Vec<(Moment, String)>,
    /// When that could be the broker's or a fault's doing.
    pub excuses: Vec<Excuse>,
    /// Processes that ended although nobody ended them, did not end when they were asked to or did not answer once all was
    /// healed; panics in logs.
    pub broken: Vec<String>,
    /// How long a worker's lease is.
    pub lease: Duration,
    /// How often it is renewed.
    pub heartbeat: Duration,
}

/// One request of a client, and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// When it was sent.
    pub sent: Moment,
    /// When its answer, or the failure, was there.
    pub got: Moment,
    /// Which client.
    pub client: String,
    /// Which replica was asked.
    pub replica: String,
    /// What for.
    pub ask: Ask,
    /// What came back.
    pub heard: Heard,
}

impl Seen {
    /// Whether it asks for a job or shows it.
    pub fn is_about(&self, job: &str) -> bool {
        let shown = match &self.heard {
            Heard::Job { job, .. } => Some(job.id.as_str()),
            _ => None,
        };
        [self.ask.job(), shown].contains(&Some(job))
    }
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Ask {
    /// To accept a job.
    Submit {
        /// The number in its input, which its result repeats.
        number: u64,
        /// Its idempotency key.
        key: Option<String>,
        /// The id that its client chose.
        id: Option<String>,
    },
    /// How a job stands; also with a wait.
    Read(String),
    /// To cancel a job.
    Cancel(String),
    /// For a job's result.
    Output(String),
}

impl Ask {
    /// The job that was named.
    pub fn job(&self) -> Option<&str> {
        match self {
            Self::Submit { .. } => None,
            Self::Read(job) | Self::Cancel(job) | Self::Output(job) => Some(job),
        }
    }
}

/// What came back.
#[derive(Debug, Clone, Serialize)]
pub enum Heard {
    /// No answer at all.
    Nothing(String),
    /// A job.
    Job {
        /// The status code.
        code: u16,
        /// The job as the answer shows it.
        job: JobSeen,
        /// The version in the `ETag`.
        etag: Option<i64>,
    },
    /// The output of a job.
    Output(Option<Output>),
    /// A problem, or anything else.
    Other {
        /// The status code.
        code: u16,
        /// The problem's code, or the start of the body.
        problem: String,
        /// Whether it says when to try again.
        retry_after: bool,
    },
}

/// A job in an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobSeen {
    /// Which.
    pub id: String,
    /// Its version.
    pub version: i64,
    /// Its status.
    pub status: String,
    /// Whether the answer says that it has ended.
    pub done: bool,
    /// Its attempts.
    pub attempt: i64,
    /// Its result.
    pub output: Option<Output>,
}

/// What a handler made: it names the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The job.
    pub job: String,
    /// The attempt.
    pub attempt: i64,
    /// A text that no other run has.
    pub run: String,
    /// The number in the input.
    pub number: u64,
}

/// One run of a handler, as the handler itself tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The job.
    pub job: String,
    /// The attempt, as the handler was told.
    pub attempt: i64,
    /// A text that no other run has.
    pub run: String,
    /// The process, by name.
    pub process: String,
    /// The process, by number.
    pub pid: u32,
    /// When it started.
    pub start: Moment,
    /// When and how it ended; `None`: it never said.
    pub end: Option<(Moment, String)>,
}

/// A job as the table holds it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its status.
    pub status: String,
    /// Its version.
    pub version: i64,
    /// Attempts that count.
    pub attempt: i64,
    /// Deaths of workers under it.
    pub crashes: i64,
    /// The incarnation that claimed it last.
    pub worker: Option<String>,
    /// When that was.
    pub started: Option<Moment>,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Its result, where that is a handler's of these trials.
    pub output: Option<Output>,
    /// The number in its result, where that is what was asked itself: an input that came back.
    pub echo: Option<u64>,
    /// Whether there is any result.
    pub has_result: bool,
    /// Its error, as JSON.
    pub error: Option<String>,
    /// Whether its ends are to be told.
    pub has_webhook: bool,
}

/// Why a worker's process did not go on with what it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Why {
    /// It was dead: whatever ran in it has ended. `from` is the last moment at which it may have lived.
    Dead,
    /// It stood still.
    Frozen,
    /// Its connections to the database were closed and none could be opened, so that its session lock fell free.
    CutOff,
}

/// When a process was dead, frozen or cut off.
#[derive(Debug, Clone, Serialize)]
pub struct Absence {
    /// The process, by number.
    pub pid: u32,
    /// The process, by name.
    pub process: String,
    /// How.
    pub why: Why,
    /// Since.
    pub from: Moment,
    /// Until; `None`: to the end.
    pub until: Option<Moment>,
}

/// A time in which messages may have been lost or held back by a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excuse {
    /// Since.
    pub from: Moment,
    /// Until.
    pub until: Moment,
    /// Those of this queue; `None`: those of any.
    pub queue: Option<&'static str>,
}

/// Whether a status is final.
pub fn is_final(status: &str) -> bool {
    matches!(status, "succeeded" | "failed" | "canceled" | "expired")
}
