//! Why a command gave up, and the exit code that says so.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use raincheck_shared::config::{ConfigErrors, ConfigProblem};
use raincheck_shared::store::StoreError;

/// How a command that talks to an instance ends, when not well; scripts go by these, so they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The job has failed.
    JobFailed = 4,
    /// The job was canceled, or has expired.
    JobEnded = 5,
    /// There is no such job, kind or queue, or no longer.
    NotFound = 6,
    /// What was asked is refused, and would be again.
    Refused = 7,
    /// No answer, or no room, or no end, in the time that was given.
    OutOfTime = 8,
    /// Ctrl-C.
    Interrupted = 130,
    /// Nobody reads stdout any more: what a shell says of who was stopped by SIGPIPE.
    NobodyReads = 141,
}

/// Why a command gave up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A request to an instance did not come to a good end.
    Asked {
        /// What happened. Empty when it has been said already.
        what: String,
        /// What scripts see.
        exit: Exit,
    },
    /// It tried and could not. Exit code 1.
    Failed {
        /// What could not be done.
        what: String,
        /// Why.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The same, and everything has been said already. Exit code 1.
    Said,
    /// The configuration is wrong. Exit code 2, the one for wrong arguments.
    Config(ConfigErrors),
    /// The configuration is right, but this command cannot work with it. Exit code 2.
    Usage(String),
    /// The database is there, but its schema is not. Exit code 3: `raincheck migrate` mends it.
    Schema(StoreError),
}

impl Failure {
    /// A failure with its cause.
    pub(crate) fn because(what: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed { what: what.into(), source: Some(Box::new(source)) }
    }

    /// A failure that explains itself.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), source: None }
    }

    /// A request that did not come to a good end.
    pub(crate) fn asked(exit: Exit, what: impl Into<String>) -> Self {
        Self::Asked { what: what.into(), exit }
    }

    /// Whether there is nothing to add to what was said.
    pub(crate) fn is_said(&self) -> bool {
        matches!(self, Self::Said) || matches!(self, Self::Asked { what, .. } if what.is_empty())
    }

    /// One setting that only this program can judge.
    pub(crate) fn setting(key: &str, problem: String) -> Self {
        Self::Config(ConfigErrors(vec![ConfigProblem { key: key.to_owned(), problem, origin: None }]))
    }

    /// What a store's refusal means for a command that cannot go on without it.
    pub(crate) fn store(what: &str, error: StoreError) -> Self {
        match error {
            StoreError::WrongSchema { .. } => Self::Schema(error),
            other => Self::because(what, other),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Asked { exit, .. } => *exit as u8,
            Self::Failed { .. } | Self::Said => 1,
            Self::Config(_) | Self::Usage(_) => 2,
            Self::Schema(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { what, .. } | Self::Asked { what, .. } | Self::Usage(what) => f.write_str(what),
            Self::Said => Ok(()),
            Self::Config(ConfigErrors(problems)) => {
                let count = problems.len();
                write!(f, "the configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Self::Schema(error) => error.fmt(f),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { source: Some(source), .. } => Some(&**source),
            Self::Schema(error) => error.source(),
            _ => None,
        }
    }
}
