//! Why a command gave up, and the exit code that says so.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use raincheck_shared::config::{ConfigErrors, ConfigProblem};
use raincheck_shared::store::StoreError;

/// Why a command gave up.
#[derive(Debug)]
pub(crate) enum Failure {
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
            Self::Failed { .. } | Self::Said => 1,
            Self::Config(_) | Self::Usage(_) => 2,
            Self::Schema(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { what, .. } | Self::Usage(what) => f.write_str(what),
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
