//! A kind of work: what runs it, and what it may cost.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::StatusRules;
use crate::domain::{KindLimits, KindName, Payload, QueueName, RetryPolicy};

/// `[kinds.NAME]`
#[derive(Debug, Clone)]
pub struct Kind {
    /// Its name.
    pub name: KindName,
    /// What runs it.
    pub run: Run,
    /// `queue`: where its jobs wait unless the client says otherwise
    pub queue: QueueName,
    /// `timeout`: how long one attempt may run
    pub timeout: Duration,
    /// `max_attempts`, `backoff` (first delay), `max_backoff`
    pub retry: RetryPolicy,
    /// `concurrency`: handlers of this kind at once in one worker
    pub concurrency: usize,
    /// `concurrent_jobs`, `rate`, `concurrent_per_key`, `rate_per_key`: over all workers
    pub limits: KindLimits,
    /// `content_types`: media types of inputs that are taken; empty: any. `text/*` means every text type
    pub content_types: Vec<String>,
    /// `output_type`: the media type of a `command`'s output
    pub output_type: String,
    /// `schema`: the JSON Schema that inputs must meet
    pub schema: Option<InputSchema>,
    /// `retention`: how long an ended job is kept
    pub retention: Duration,
    /// `description`: for people
    pub description: Option<String>,
}

impl Kind {
    /// How many ids may share a dispatch, for workers that run `slots` jobs at once: one where slots are few, since a worker
    /// claims a message whole and holds what its slots cannot take yet; more where they are many, since what costs the
    /// broker is the message, not the id. Never more than half of what a worker runs in all, so that it can take one while
    /// it runs others. One where jobs are leased, each alone.
    pub fn dispatch_width(&self, slots: usize) -> usize {
        if self.is_remote() { 1 } else { (self.concurrency / 8).min(slots / 2).clamp(1, 64) }
    }

    /// Whether its jobs are leased over HTTP: no worker of ours takes them, and they are never sent over the broker.
    pub fn is_remote(&self) -> bool {
        self.run == Run::Remote
    }

    /// Whether its upstream may end jobs itself.
    pub fn calls_back(&self) -> bool {
        matches!(&self.run, Run::Http(upstream) if upstream.completions.is_some())
    }

    /// Whether an input of this media type is taken.
    pub fn takes(&self, content_type: &str) -> bool {
        let essence = Payload::essence(content_type);
        self.content_types.is_empty()
            || self.content_types.iter().any(|allowed| match allowed.strip_suffix("/*") {
                Some(major) => essence.split('/').next().is_some_and(|sent| sent.eq_ignore_ascii_case(major)),
                None => essence.eq_ignore_ascii_case(allowed),
            })
    }
}

/// What runs a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// `command = ["wc", "-w"]`: a program; input on stdin, output on stdout
    Command(Program),
    /// `http = "http://…"`: an upstream that the operator configured
    Http(Upstream),
    /// Built in: its input back, bytes and type
    Echo,
    /// Built in: `{"seconds": 1.5}`
    Sleep,
    /// Built in: a kitchen that cooks for a few seconds and reports progress
    Takeaway,
    /// `remote = true`: whoever leases its jobs over HTTP
    Remote,
    /// `handler = true`: a handler in Rust that the worker's program brings
    Custom,
}

/// `command`, and what goes with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; never empty.
    pub argv: Vec<String>,
    /// `env`: added to the worker's environment
    pub env: BTreeMap<String, String>,
    /// `directory`: where it runs; without one, in a folder of the attempt's own
    pub directory: Option<PathBuf>,
    /// `output`: the file that is its output, in the attempt's own folder; without one, what it prints is
    pub output: Option<PathBuf>,
    /// `memory`: bytes that its processes may use together
    pub memory: Option<u64>,
    /// `retry_exit_codes`: exit codes that are worth another attempt; empty: all but 0 and 65
    pub retry_exit_codes: Vec<i32>,
}

/// `http`, and what goes with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Where inputs are sent with POST.
    pub url: String,
    /// `headers`: sent along; shown hidden
    pub headers: BTreeMap<String, super::Secret>,
    /// `statuses`: what an answer means that is not what the defaults say
    pub statuses: StatusRules,
    /// `completion = "callback"`: what the URLs begin with by which it ends attempts itself, up to the token
    pub completions: Option<String>,
    /// `ca_file`: authorities that its certificate may be signed by, besides the public ones; PEM
    pub ca_file: Option<PathBuf>,
    /// `delete_on_cancel`: whether it is told, at its `Location`, that nobody waits any more
    pub delete_on_cancel: bool,
}

/// A compiled JSON Schema. It resolves nothing over the network or from files.
#[derive(Clone)]
pub struct InputSchema {
    source: Arc<serde_json::Value>,
    validator: Arc<jsonschema::Validator>,
}

impl InputSchema {
    /// Compiles a schema; the error says what is wrong with it.
    pub fn compile(source: serde_json::Value) -> Result<Self, String> {
        let validator = jsonschema::validator_for(&source).map_err(|error| error.to_string())?;
        Ok(Self { source: Arc::new(source), validator: Arc::new(validator) })
    }

    /// The schema itself.
    pub fn source(&self) -> &serde_json::Value {
        &self.source
    }

    /// What is wrong with `input`: pairs of a JSON pointer into it and a sentence; none when it is good.
    /// At most `limit` of them.
    pub fn problems(&self, input: &serde_json::Value, limit: usize) -> Vec<(String, String)> {
        self.validator
            .iter_errors(input)
            .take(limit)
            .map(|error| (error.instance_path().to_string(), error.to_string()))
            .collect()
    }
}

impl fmt::Debug for InputSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
