//! What a client asked for, read but not yet judged.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use raincheck_shared::domain::{Content, IdempotencyKey, JobId, ScheduleName, TenantName, Timestamp};

/// One request for work. `None` and empty mean: as the kind and the configuration say.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    /// Who asks.
    pub(crate) tenant: TenantName,
    /// Which kind of work.
    pub(crate) kind: String,
    /// The input, byte for byte, or where it is.
    pub(crate) input: Content,
    /// Everything else.
    pub(crate) options: JobOptions,
    /// Makes a repeated request the same request.
    pub(crate) key: Option<IdempotencyKey>,
    /// The id that the client chose; its key is then [`IdempotencyKey::of_job`].
    pub(crate) id: Option<JobId>,
    /// The job that this repeats.
    pub(crate) retry_of: Option<JobId>,
    /// W3C trace context, if it is well-formed.
    pub(crate) traceparent: Option<String>,
}

/// How the work is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JobOptions {
    pub(crate) queue: Option<String>,
    /// 0 to 9.
    pub(crate) priority: Option<u8>,
    pub(crate) run_at: Option<Timestamp>,
    pub(crate) delay: Option<Duration>,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) run_timeout: Option<Duration>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) input_retention: Option<Duration>,
    pub(crate) result_retention: Option<Duration>,
    /// 1 to 1000.
    pub(crate) max_attempts: Option<i32>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tags: Vec<String>,
    /// Jobs of a kind with the same one share the kind's limits for each key.
    pub(crate) concurrency_key: Option<String>,
    pub(crate) webhook: Option<WebhookOptions>,
    /// The schedule that asks. No client can say so.
    pub(crate) schedule: Option<ScheduleMark>,
    /// Only say whether it would be accepted.
    pub(crate) validate_only: bool,
}

/// What a schedule says of itself in the metadata of its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScheduleMark {
    pub(crate) name: ScheduleName,
    /// `None`: it was asked for a job beside its ticks.
    pub(crate) tick: Option<Timestamp>,
}

/// Where events are to be told, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WebhookOptions {
    pub(crate) url: String,
    /// Empty: every end.
    pub(crate) events: Vec<String>,
}

/// A part of a submission that can be at fault. Where it stood in the request is the wire's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// The id that the client chose.
    Id,
    /// A JSON pointer into the input.
    Input(String),
    Queue,
    Delay,
    StartTimeout,
    RunTimeout,
    Deadline,
    InputRetention,
    ResultRetention,
    Metadata,
    /// One pair of the metadata.
    MetadataPair(String),
    Tags,
    ConcurrencyKey,
    /// One tag, from 0.
    Tag(usize),
    WebhookUrl,
    /// One event, from 0.
    WebhookEvent(usize),
}

impl fmt::Display for Field {
    /// As people call it, where there is no request to point into.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("id"),
            Self::Input(pointer) => write!(f, "input{pointer}"),
            Self::Queue => f.write_str("queue"),
            Self::Delay => f.write_str("delay"),
            Self::StartTimeout => f.write_str("start_timeout"),
            Self::RunTimeout => f.write_str("run_timeout"),
            Self::Deadline => f.write_str("deadline"),
            Self::InputRetention => f.write_str("input_retention"),
            Self::ResultRetention => f.write_str("result_retention"),
            Self::Metadata => f.write_str("metadata"),
            Self::MetadataPair(name) => write!(f, "metadata.{name}"),
            Self::Tags => f.write_str("tags"),
            Self::ConcurrencyKey => f.write_str("concurrency_key"),
            Self::Tag(n) => write!(f, "tags.{n}"),
            Self::WebhookUrl => f.write_str("webhook_url"),
            Self::WebhookEvent(n) => write!(f, "webhook_events.{n}"),
        }
    }
}
