//! What can go wrong, by what the caller can do about it.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::job::Job;
use crate::request::Answer;

/// Why something did not come to a good end. It names the job it is about once that has an id, and the idempotency key if
/// it was a submit: [`Client::find_by_idempotency_key`](crate::Client::find_by_idempotency_key) then tells whether the job
/// was accepted all the same.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    job_id: Option<String>,
    idempotency_key: Option<String>,
}

/// What it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// raincheck refused, or kept saying until the retry budget was spent that it cannot now.
    #[error("{0}")]
    Api(Problem),
    /// No answer of raincheck came through within the retry budget. The source has the last fault of the connection.
    #[error("{what}")]
    Unreachable {
        /// What came instead.
        what: String,
        /// HTTP's, if there was an answer that was not raincheck's.
        status: Option<u16>,
        /// Why the connection did not hold.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The base URL leads elsewhere. A redirected POST may turn into a GET, so redirects are not followed.
    #[error("{status}: redirected to {}; use that as the base URL", location.as_deref().unwrap_or("nowhere"))]
    Redirected {
        /// HTTP's.
        status: u16,
        /// Where to.
        location: Option<String>,
    },
    /// The job did not end in time. It goes on; [`Error::job_id`] is always there.
    #[error("the job has not ended within {after:?}")]
    Timeout {
        /// The time that it was given.
        after: Duration,
        /// As it was last seen, if it was.
        job: Option<Box<Job>>,
    },
    /// The job ended without success: it failed, was canceled, or expired.
    #[error("{}", .0.ending())]
    JobFailed(Box<Job>),
    /// Each time the result arrived within the retry budget, it did not match its `Content-Digest`.
    #[error("the result does not match its Content-Digest")]
    ResultDamaged,
    /// The request was not sent: something in it cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, job_id: None, idempotency_key: None }))
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid(what.into()))
    }

    pub(crate) fn about_job(mut self, id: &str) -> Self {
        self.0.job_id = Some(id.to_owned());
        self
    }

    pub(crate) fn about_key(mut self, key: &str) -> Self {
        self.0.idempotency_key = Some(key.to_owned());
        self
    }

    /// What it is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The same, for keeps.
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }

    /// The job it is about.
    pub fn job_id(&self) -> Option<&str> {
        self.0.job_id.as_deref()
    }

    /// The key of the submit that it ended.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.0.idempotency_key.as_deref()
    }

    /// The problem, if raincheck refused.
    pub fn problem(&self) -> Option<&Problem> {
        match self.kind() {
            ErrorKind::Api(problem) => Some(problem),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)?;
        match (&self.0.job_id, &self.0.idempotency_key) {
            (Some(id), _) => write!(f, " (job {id})"),
            (None, Some(key)) => write!(f, " (idempotency key {key})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.kind.source()
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, Clone)]
pub struct Problem {
    /// HTTP's.
    pub status: u16,
    /// Stable, for programs: `docs/errors` has a page for each.
    pub code: String,
    /// For people: what is wrong with this request.
    pub detail: String,
    /// What to name when asking the operator about it.
    pub request_id: Option<String>,
    /// Whether the very same request may succeed later.
    pub retryable: bool,
    /// After which the server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What is wrong with which field.
    pub errors: Vec<Finding>,
    /// All of it.
    pub raw: Value,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A JSON pointer, such as `/input/month`.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl Problem {
    /// `None`: it is no problem document.
    pub(crate) fn read(answer: &Answer) -> Option<Self> {
        let raw: Value = answer.json().ok()?;
        let text = |name: &str| raw[name].as_str().map(str::to_owned);
        let findings = raw["errors"].as_array().into_iter().flatten().map(|finding| {
            let part = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            Finding { pointer: part("pointer"), detail: part("detail") }
        });
        Some(Self {
            status: answer.status,
            code: text("code")?,
            detail: text("detail").or_else(|| text("title")).unwrap_or_default(),
            request_id: text("request_id"),
            retryable: raw["retryable"] == true,
            retry_after: answer.retry_after(),
            errors: findings.collect(),
            raw,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)?;
        for Finding { pointer, detail } in &self.errors {
            write!(f, "; {pointer}: {detail}")?;
        }
        match &self.request_id {
            Some(id) => write!(f, " [request {id}]"),
            None => Ok(()),
        }
    }
}
