//! Why an attempt, or a job, came to nothing.

use serde::{Deserialize, Serialize};

use super::ids::Timestamp;

/// The reason as a code that programs can branch on. Each has a page under `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The handler said no, exited with an error, or panicked.
    HandlerError,
    /// It ran longer than it may.
    RunTimeout,
    /// Its worker died under it as often as is allowed.
    WorkerLost,
    /// It failed as often as is allowed.
    AttemptsExhausted,
    /// Its result is larger than can be kept.
    OutputTooLarge,
    /// The upstream answered with a status that is not a success.
    UpstreamStatus,
}

impl FailureCode {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HandlerError,
        Self::RunTimeout,
        Self::WorkerLost,
        Self::AttemptsExhausted,
        Self::OutputTooLarge,
        Self::UpstreamStatus,
    ];

    /// The code as it is kept and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HandlerError => "handler-error",
            Self::RunTimeout => "run-timeout",
            Self::WorkerLost => "worker-lost",
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::OutputTooLarge => "output-too-large",
            Self::UpstreamStatus => "upstream-status",
        }
    }
}

/// There is no such code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such failure")]
pub struct UnknownFailureCode;

impl std::str::FromStr for FailureCode {
    type Err = UnknownFailureCode;

    fn from_str(text: &str) -> Result<Self, UnknownFailureCode> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or(UnknownFailureCode)
    }
}

/// What went wrong, in the words of whoever knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The reason as a code.
    pub code: FailureCode,
    /// One line for a person.
    pub message: String,
    /// Whether another attempt could have mended it.
    pub retryable: bool,
    /// Which attempt failed, from 1.
    pub attempt: i32,
    /// What the handler or upstream itself said (stderr, a response body), at most [`Failure::DETAIL_LIMIT`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Failure {
    /// How much of a handler's own words is kept, in bytes. The end is kept: errors come last.
    pub const DETAIL_LIMIT: usize = 8 * 1024;

    /// A failure of attempt `attempt`. NUL is replaced in all texts: Postgres cannot keep it.
    pub fn new(code: FailureCode, message: impl Into<String>, retryable: bool, attempt: i32) -> Self {
        Self { code, message: without_nul(&message.into()), retryable, attempt, detail: None }
    }

    /// The same with what the handler said, cut to its last [`Failure::DETAIL_LIMIT`] bytes.
    #[must_use]
    pub fn with_detail(mut self, said: &[u8]) -> Self {
        let tail = &said[said.len().saturating_sub(Self::DETAIL_LIMIT)..];
        let text = without_nul(String::from_utf8_lossy(tail).trim());
        self.detail = (!text.is_empty()).then_some(text);
        self
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// One attempt that failed, as the job's history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// When it started.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<Timestamp>,
    /// When its end was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: Timestamp,
    /// The worker's incarnation.
    pub worker: Option<uuid::Uuid>,
    /// What went wrong.
    pub error: Failure,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_it_is_kept() {
        for code in FailureCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(code.as_str().parse(), Ok(code));
        }
    }
}
