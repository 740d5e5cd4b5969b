//! How a program ended, on its way from the supervisor to the worker.

use std::io;
use std::path::Path;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It was killed, since it and what it had started used more memory than they may.
    TookTooMuchMemory,
    /// It could not be started, for this reason of the operating system's.
    NotStarted(i32),
}

impl Ended {
    /// Writes it down.
    pub(super) fn write(self, report: &Path) -> io::Result<()> {
        let line = match self {
            Self::Exited(code) => format!("exited {code}"),
            Self::Killed(signal) => format!("killed {signal}"),
            Self::TookTooMuchMemory => "memory 0".to_owned(),
            Self::NotStarted(errno) => format!("not-started {errno}"),
        };
        std::fs::write(report, line)
    }

    /// What was written down; `None`: the supervisor did not get that far.
    pub(crate) fn read(report: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(report).ok()?;
        let (what, number) = text.split_once(' ')?;
        let number = number.parse().ok()?;
        match what {
            "exited" => Some(Self::Exited(number)),
            "killed" => Some(Self::Killed(number)),
            "memory" => Some(Self::TookTooMuchMemory),
            "not-started" => Some(Self::NotStarted(number)),
            _ => None,
        }
    }
}
