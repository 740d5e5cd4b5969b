//! How a program ended, on its way from the supervisor to the worker.

use std::fs::File;
use std::io::{self, Write};
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
/// Bytes that every report fits.
const LENGTH: usize = 64;

impl Report {
    /// Makes the file that one is written into, as long as any may be. Then the disk may be full when the program has ended: what is
    /// written in place of something takes no more room.
    pub(crate) fn make_room(at: &Path) -> io::Result<()> {
        File::create_new(at)?.write_all(&[b' '; LENGTH])
    }

    /// Writes it down.
    pub(super) fn write(self, to: &Path) -> io::Result<()> {
        let told = if self.was_told_to_stop { TOLD } else { "" };
        let line = match self.ended {
            Ended::Exited(code) => format!("exited {code} {told}"),
            Ended::Killed(signal) => format!("killed {signal} {told}"),
            Ended::TookTooMuchMemory => format!("memory 0 {told}"),
            Ended::NotStarted(errno) => format!("not-started {errno} {told}"),
        };
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(to)?
            .write_all(format!("{line:LENGTH$}").as_bytes())
    }

    /// What was written down; `None`: the supervisor did not get that far.
    pub(crate) fn read(from: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(from).ok()?;
        let mut words = text.split_ascii_whitespace();
        let (what, number) = (words.next()?, words.next()?.parse().ok()?);
        let ended = match what {
            "exited" => Ended::Exited(number),
            "killed" => Ended::Killed(number),
            "memory" => Ended::TookTooMuchMemory,
            "not-started" => Ended::NotStarted(number),
            _ => return None,
        };
        Some(Self { ended, was_told_to_stop: words.next() == Some(TOLD) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::trial::Folder;

    #[test]
    fn a_report_is_read_as_it_was_written_and_takes_the_room_that_was_made_for_it() {
        let folder = Folder::new();
        let at = folder.file("ended");
        Report::make_room(&at).unwrap();
        assert_eq!(Report::read(&at), None);
        let length = std::fs::metadata(&at).unwrap().len();
        for ended in [Ended::Exited(i32::MIN), Ended::Killed(9), Ended::TookTooMuchMemory, Ended::NotStarted(i32::MAX)]
        {
            for was_told_to_stop in [true, false] {
                let report = Report { ended, was_told_to_stop };
                report.write(&at).unwrap();
                assert_eq!(Report::read(&at), Some(report));
                assert_eq!(std::fs::metadata(&at).unwrap().len(), length);
            }
        }
    }
}
