//! Why one try did not do it, and whether another may.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Problem};
use crate::request::Answer;

/// What came of one try, if not what was wanted.
#[derive(Debug)]
pub(crate) enum Fault {
    /// raincheck said no.
    Problem(Box<Problem>),
    /// Somebody said go elsewhere.
    Redirected { status: u16, location: Option<String> },
    /// Somebody else answered, or half of an answer came.
    Garbled { status: u16, what: String },
    /// The connection was not made, or did not hold.
    Connection(Box<dyn std::error::Error + Send + Sync>),
    /// Whoever answers does not show that it is who it should be.
    Certificate(Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came for so long.
    TimedOut(Duration),
    /// The stream was asked for and nothing came: somebody holds it back.
    Silent,
    /// The body is not the one that was sent.
    Damaged,
    /// The request cannot be written down.
    Invalid(String),
}

impl Fault {
    /// Whether the same request may go better in a while.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            // That may take as long as the job does, and whoever can wait for it waits for the job.
            Self::Problem(problem) if problem.code == "job-not-finished" => false,
            Self::Problem(problem) => problem.retryable || matches!(problem.status, 408 | 429) || problem.status >= 500,
            Self::Garbled { .. } | Self::Connection(_) | Self::TimedOut(_) | Self::Silent | Self::Damaged => true,
            Self::Redirected { .. } | Self::Certificate(_) | Self::Invalid(_) => false,
        }
    }

    /// Whether another way to follow a job may do better: it is the connection's fault, the server's, or nobody speaks this
    /// here.
    pub(crate) fn is_a_miss(&self) -> bool {
        self.is_transient() || matches!(self, Self::Problem(problem) if matches!(problem.status, 405 | 406))
    }

    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Problem(problem) => problem.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// An answer that is a success, or the fault that it is.
    pub(crate) fn of(answer: Answer) -> Result<Answer, Self> {
        match answer.status {
            0..300 | 304 => Ok(answer),
            300..400 => {
                let location = answer.header("location").map(str::to_owned);
                Err(Self::Redirected { status: answer.status, location })
            }
            _ => {
                Err(Problem::read(&answer).map_or_else(|| answer.garbled(), |problem| Self::Problem(Box::new(problem))))
            }
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(match fault {
            Fault::Problem(problem) => ErrorKind::Api(*problem),
            Fault::Redirected { status, location } => ErrorKind::Redirected { status, location },
            Fault::Garbled { status, what } => ErrorKind::Unreachable { what, status: Some(status), source: None },
            Fault::Connection(source) => unreachable("raincheck cannot be reached", Some(source)),
            Fault::Certificate(source) => unreachable("raincheck cannot be trusted: its certificate", Some(source)),
            Fault::TimedOut(after) => unreachable(&format!("raincheck did not answer within {after:?}"), None),
            Fault::Silent => unreachable("the event stream kept silent", None),
            Fault::Damaged => ErrorKind::ResultDamaged,
            Fault::Invalid(what) => ErrorKind::Invalid(what),
        })
    }
}

fn unreachable(what: &str, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> ErrorKind {
    ErrorKind::Unreachable { what: what.to_owned(), status: None, source }
}
