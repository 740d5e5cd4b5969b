//! What a client asked for, read but not yet judged.

use std::collections::BTreeMap;
use std::time::Duration;

use raincheck_shared::domain::{Content, IdempotencyKey, JobId, TenantName, Timestamp};

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
    pub(crate) webhook: Option<WebhookOptions>,
    /// Only say whether it would be accepted.
    pub(crate) validate_only: bool,
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
    /// One tag, from 0.
    Tag(usize),
    WebhookUrl,
    /// One event, from 0.
    WebhookEvent(usize),
}
