//! What does the work. A handler sees an input and a context and returns an outcome; it reaches neither store nor
//! broker, so it cannot break the promises made about a job.

use std::time::Duration;

use async_trait::async_trait;
use raincheck_shared::domain::{FailureCode, Payload};

use crate::{Context, LargeInput, Written};

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
    /// It goes on elsewhere, and whoever does the work ends the attempt by a POST to the URL that it was given. The slot is
    /// free, and neither a drain nor the worker's death ends the attempt: only that POST, its timeout, or a cancel.
    HandedOver,
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

/// What `?` makes of an error: another attempt may mend it.
impl From<HandlerError> for Outcome {
    fn from(error: HandlerError) -> Self {
        error.retry()
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

    /// The same, after this long instead.
    pub fn retry_after(self, after: Duration) -> Outcome {
        Outcome::Retry { error: self, after: Some(after) }
    }

    /// The attempt failed, and another one would fail too.
    pub fn fail(self) -> Outcome {
        Outcome::Fail(self)
    }
}
