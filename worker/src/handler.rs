//! What does the work. A handler sees an input and a context and returns an outcome; it reaches neither store nor
//! broker, so it cannot break the promises made about a job.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use raincheck_shared::domain::{FailureCode, JobId, KindName, Payload, Progress, TenantName};
use raincheck_shared::lifecycle::SystemClock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::handler_log::HandlerLog;
use crate::output::Spool;
use crate::{LargeInput, Output, Written};

/// Does the work of one kind.
///
/// An attempt may be cut short and repeated: a worker can die after the work and before its record. So a handler should
/// be idempotent; [`Context::job_id`] is the same in every attempt and makes a good key for whatever it calls.
///
/// Timeouts, panics and cancels are handled around it: the future is dropped once it has ignored
/// [`Context::canceled`] for long enough.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Runs one attempt. The input is in memory: it is no larger than `blobs.in_database`.
    async fn run(&self, input: Payload, context: Context) -> Outcome;

    /// Runs one attempt on a larger input. Unless a handler says otherwise, all of that is read into memory; one that
    /// reads it piece by piece needs no more memory for it than for a small one.
    async fn run_large(&self, input: LargeInput, context: Context) -> Outcome {
        match input.read().await {
            Ok(input) => self.run(input, context).await,
            Err(outcome) => outcome,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It made this.
    Complete(Payload),
    /// It made what it wrote to [`Context::output`].
    Written(Written),
    /// It failed, and another attempt may mend it. `after`: wait this long instead of what the kind's backoff says.
    Retry {
        /// Why.
        error: HandlerError,
        /// The handler's own delay, for instance an upstream's Retry-After.
        after: Option<Duration>,
    },
    /// It failed, and another attempt would fail too.
    Fail(HandlerError),
    /// Not now: call again after this long (at least 100 ms). Costs no attempt.
    Snooze(Duration),
}

impl Outcome {
    /// What a handler returns when it stopped because [`Context::canceled`] told it to. Another attempt may run; one
    /// that was asked to stop by a client will not.
    pub fn stopped() -> Self {
        HandlerError::new("it was told to stop before it was done").retry()
    }

    /// The same with what the program or upstream said, if it is a failure.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<Vec<u8>>) -> Self {
        match self {
            Self::Retry { error, after } => Self::Retry { error: error.with_detail(detail), after },
            Self::Fail(error) => Self::Fail(error.with_detail(detail)),
            other => other,
        }
    }
}

/// What a handler says of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    /// The reason as a code.
    pub code: FailureCode,
    /// One line for a person.
    pub message: String,
    /// What the program or upstream itself said; its last 8 KiB are kept.
    pub detail: Vec<u8>,
}

impl HandlerError {
    /// A failure with code `handler-error`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: FailureCode::HandlerError, message: message.into(), detail: Vec::new() }
    }

    /// A failure with code `output-too-large`: more than the `limit` bytes that can be kept.
    pub fn output_too_large(limit: u64) -> Self {
        Self::new(format!("its output is larger than the {limit} bytes that can be kept"))
            .with_code(FailureCode::OutputTooLarge)
    }

    /// The same with another code.
    #[must_use]
    pub fn with_code(mut self, code: FailureCode) -> Self {
        self.code = code;
        self
    }

    /// The same with what the program or upstream said.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Vec<u8>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The attempt failed; another one may mend it, after the kind's backoff.
    pub fn retry(self) -> Outcome {
        Outcome::Retry { error: self, after: None }
    }

    /// The attempt failed, and another one would fail too.
    pub fn fail(self) -> Outcome {
        Outcome::Fail(self)
    }
}

/// Bytes that a context without a worker logs.
const DETACHED_LOG: u64 = 1 << 20;

/// What a handler may know and say while it runs. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) job_id: JobId,
    pub(crate) tenant: TenantName,
    pub(crate) kind: KindName,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) timeout: Duration,
    pub(crate) max_output: u64,
    pub(crate) traceparent: Option<Arc<str>>,
    pub(crate) canceled: CancellationToken,
    pub(crate) progress: watch::Sender<Option<Progress>>,
    pub(crate) log: HandlerLog,
    pub(crate) spool: Option<Spool>,
}

impl Context {
    /// A context of its own, for trying a handler without a worker. The receiver shows what progress it reports, the
    /// token cancels it. Its output stays in memory.
    pub fn detached(
        job_id: JobId,
        kind: KindName,
        timeout: Duration,
        max_output: u64,
    ) -> (Self, watch::Receiver<Option<Progress>>, CancellationToken) {
        let (progress, reported) = watch::channel(None);
        let canceled = CancellationToken::new();
        let context = Self {
            job_id,
            tenant: TenantName::default(),
            kind,
            attempt: 1,
            max_attempts: 1,
            timeout,
            max_output,
            traceparent: None,
            canceled: canceled.clone(),
            progress,
            log: HandlerLog::new(DETACHED_LOG, SystemClock::shared()),
            spool: None,
        };
        (context, reported, canceled)
    }

    /// The job; the same in every attempt.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Whose job it is; `default` when callers need no keys.
    pub fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// The job's kind.
    pub fn kind(&self) -> &KindName {
        &self.kind
    }

    /// Which attempt this is, from 1. Those that did not count (a drain, a crash, a snooze) are not counted here either.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// Attempts that may count.
    pub fn max_attempts(&self) -> i32 {
        self.max_attempts
    }

    /// How long this attempt may run.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Begins an output of a media type that is made piece by piece, of any size that can be kept.
    pub fn output(&self, content_type: impl Into<String>) -> Output {
        Output::new(content_type.into(), self.max_output, self.spool.clone())
    }

    /// Bytes of output that can be kept. More fails the attempt with code `output-too-large`.
    pub fn max_output(&self) -> u64 {
        self.max_output
    }

    /// W3C trace context that came with the request, to be sent on.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Reports how far it is: 0 to 100, out of range is cut. Cheap: the latest report is recorded at most once a second.
    pub fn report(&self, percent: f64, message: impl Into<String>) {
        let percent = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
        let message: String = message.into();
        let message = message.replace('\0', "\u{fffd}").chars().take(500).collect::<String>();
        let message = (!message.is_empty()).then_some(message);
        self.progress.send_replace(Some(Progress { percent, message }));
    }

    /// Writes into the job's log, which clients can read while it grows: a line, or several. Cheap: lines are recorded once a
    /// second, and when the attempt ends. Bounded by `jobs.max_log`; what goes past it is dropped, and a line says so.
    pub fn log(&self, text: impl AsRef<str>) {
        self.log.add(text.as_ref());
    }

    /// Resolves when the attempt should stop: a cancel, a timeout, a lost lease, the end of a drain. What is returned
    /// after that is recorded only if it still can be.
    pub async fn canceled(&self) {
        self.canceled.cancelled().await;
    }

    /// Whether the attempt should stop.
    pub fn is_canceled(&self) -> bool {
        self.canceled.is_cancelled()
    }
}
