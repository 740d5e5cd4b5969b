//! Reads the layers and reports all that is wrong with them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::Settings;

/// What the command line adds on top of all other layers.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`: a file; without it `raincheck.toml` is read if it is there
    pub file: Option<PathBuf>,
    /// `--set key=value` and the named flags: dotted keys
    pub set: BTreeMap<String, String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The dotted key, for instance `worker.concurrency`.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// All that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, ConfigProblem { key, problem }) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{key}: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads all layers. `environment`: the process environment, passed in so that tests can hold it.
pub fn load(_flags: &Flags, _environment: &BTreeMap<String, String>) -> Result<Settings, ConfigErrors> {
    unimplemented!("not written yet")
}
