//! The only place that prints. Output goes to stdout, failures and logs to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use raincheck_shared::telemetry::Chain;

use crate::failure::{Exit, Failure};

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// All is well.
    Good,
    /// It works, with something to know.
    Doubt,
    /// It does not work.
    Bad,
}

/// Where people read.
#[derive(Debug)]
pub(crate) struct Terminal {
    out: io::Stdout,
    err: io::Stderr,
    colour: bool,
    /// Whether a line can be drawn over.
    redraws: bool,
    colour_of_logs: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

impl Terminal {
    /// Looks at what stdout and stderr are. No colour but on a terminal, and none there where `NO_COLOR` is set.
    pub(crate) fn detect() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let stdout = io::stdout().is_terminal() && !dumb;
        Self {
            out: io::stdout(),
            err: io::stderr(),
            colour: stdout && wanted,
            redraws: stdout,
            colour_of_logs: io::stderr().is_terminal() && wanted && !dumb,
        }
    }

    /// Whether log lines may be coloured.
    pub(crate) fn colours_logs(&self) -> bool {
        self.colour_of_logs
    }

    /// A line.
    pub(crate) fn line(&self, text: impl Display) {
        // Nobody reads any more (a closed pipe): not the command's concern.
        let _ = writeln!(self.out.lock(), "{text}");
    }

    /// A line that somebody asked for: once nobody reads any more, there is no use in going on.
    pub(crate) fn say(&self, text: impl Display) -> Result<(), Failure> {
        self.write(format!("{text}\n").as_bytes())
    }

    /// The same of bytes as they are.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = self.out.lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::asked(Exit::NobodyReads, ""),
            _ => Failure::because("stdout cannot be written", error),
        })
    }

    /// Something to know beside the output, on stderr.
    pub(crate) fn note(&self, text: impl Display) {
        let _ = writeln!(self.err.lock(), "{text}");
    }

    /// The same, where a person reads it.
    pub(crate) fn hint(&self, text: impl Display) {
        if self.colour_of_logs || self.err.is_terminal() {
            self.note(text);
        }
    }

    /// Whether stdout is a terminal on which can be drawn.
    pub(crate) fn redraws(&self) -> bool {
        self.redraws
    }

    /// Whether stderr is one.
    pub(crate) fn redraws_beside(&self) -> bool {
        self.err.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether stdout may be coloured.
    pub(crate) fn colours(&self) -> bool {
        self.colour
    }

    /// A status in its colour, padded to `width` before that.
    pub(crate) fn status(&self, status: &str, width: usize) -> String {
        let colour = match status {
            "succeeded" => GREEN,
            "failed" => RED,
            "canceled" | "expired" | "retrying" | "paused" => YELLOW,
            "in_progress" => CYAN,
            _ => DIM,
        };
        self.painted(colour, format!("{status:width$}"))
    }

    /// Text that tells of trouble.
    pub(crate) fn bad(&self, text: impl Display) -> String {
        self.painted(RED, text)
    }

    /// Text that stands back.
    pub(crate) fn dim(&self, text: impl Display) -> String {
        self.painted(DIM, text)
    }

    /// Text that stands out.
    pub(crate) fn bold(&self, text: impl Display) -> String {
        self.painted(BOLD, text)
    }

    /// A line that stands out.
    pub(crate) fn heading(&self, text: impl Display) {
        self.line(self.painted(BOLD, text));
    }

    /// Text as it is.
    pub(crate) fn page(&self, text: &str) -> Result<(), Failure> {
        self.write(text.as_bytes())
    }

    /// Something that was looked at, and what to do about it.
    pub(crate) fn finding(&self, mark: Mark, text: &str, advice: Option<&str>) {
        let (sign, colour) = match mark {
            Mark::Good => ("✓", GREEN),
            Mark::Doubt => ("!", YELLOW),
            Mark::Bad => ("✗", RED),
        };
        self.line(format_args!("{} {text}", self.painted(colour, sign)));
        if let Some(advice) = advice {
            self.line(format_args!("  {}", self.painted(DIM, format_args!("→ {advice}"))));
        }
    }

    /// How far something is. Drawn over the last one on a terminal, a line of its own elsewhere.
    pub(crate) fn progress(&self, percent: f64, text: &str) {
        const WIDTH: usize = 30;
        let share = (percent / 100.0).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and the width"
        )]
        let done = (share * WIDTH as f64).round() as usize;
        if self.redraws {
            let bar = format!("{}{}", "█".repeat(done), "░".repeat(WIDTH - done));
            let mut out = self.out.lock();
            let _ = write!(out, "\r\x1b[2K  {} {percent:3.0} %  {text}", self.painted(GREEN, bar));
            let _ = out.flush();
        } else {
            self.line(format_args!("  {percent:3.0} %  {text}"));
        }
    }

    /// Ends what [`Terminal::progress`] has drawn.
    pub(crate) fn progress_done(&self) {
        if self.redraws {
            self.line("");
        }
    }

    /// Why the command gave up, with all causes.
    pub(crate) fn failure(&self, failure: &Failure) {
        if !failure.is_said() {
            let _ = writeln!(self.err.lock(), "raincheck: {}", Chain(failure));
        }
    }

    fn painted(&self, colour: &str, text: impl Display) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_string() }
    }
}
