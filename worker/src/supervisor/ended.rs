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

/// What a supervisor says at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// How the program ended.
    pub(crate) ended: Ended,
    /// Whether somebody other than the worker had told the supervisor to stop, and so most likely the program too.
    pub(crate) was_told_to_stop: bool,
}

const TOLD: &str = "told-to-stop";

impl Report {
    /// Writes it down.
    pub(super) fn write(self, to: &Path) -> io::Result<()> {
        let told = if self.was_told_to_stop { TOLD } else { "" };
        let line = match self.ended {
            Ended::Exited(code) => format!("exited {code} {told}"),
            Ended::Killed(signal) => format!("killed {signal} {told}"),
            Ended::TookTooMuchMemory => format!("memory 0 {told}"),
            Ended::NotStarted(errno) => format!("not-started {errno} {told}"),
        };
        std::fs::write(to, line)
    }

    /// What was written down; `None`: the supervisor did not get that far.
    pub(crate) fn read(from: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(from).ok()?;
        let (what, rest) = text.split_once(' ')?;
        let (number, told) = rest.split_once(' ')?;
        let number = number.parse().ok()?;
        let ended = match what {
            "exited" => Ended::Exited(number),
            "killed" => Ended::Killed(number),
            "memory" => Ended::TookTooMuchMemory,
            "not-started" => Ended::NotStarted(number),
            _ => return None,
        };
        Some(Self { ended, was_told_to_stop: told == TOLD })
    }
}
