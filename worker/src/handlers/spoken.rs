//! What a program says on stderr: lines for the job's log, and lines that say something to raincheck.
//!
//! | line | means |
//! |---|---|
//! | `::progress 42 rendering page 3` | how far it is, in percent, and a message or none |
//! | `::content-type image/png` | the media type of its output, instead of the configured one |
//! | `::retry-after 30s` | if it ends with a code that is worth another attempt, that comes so much later |
//!
//! A prefix on a stream that everything has, rather than a descriptor of its own: any language can write it, it passes
//! through shells, `sudo`, `ssh` and `docker run`, and it stays in order with the log. A line that starts like one of
//! these and cannot be read is a line for the log.

use std::time::Duration;

use raincheck_shared::config::parse_duration;

use super::bounded::Tail;
use crate::Context;
use crate::handler_log::LONGEST_LINE;

/// Longer than this no program may have itself put off.
pub(super) const LONGEST_DELAY: Duration = Duration::from_hours(24 * 30);

/// Listens to one attempt's program.
pub(super) struct Spoken {
    context: Context,
    lines: Lines,
    tail: Tail,
    content_type: Option<String>,
    retry_after: Option<Duration>,
}

impl Spoken {
    /// For the log and the progress of this attempt.
    pub(super) fn new(context: Context) -> Self {
        Self { context, lines: Lines::default(), tail: Tail::default(), content_type: None, retry_after: None }
    }

    /// Hears a piece.
    pub(super) fn hear(&mut self, piece: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.push(piece, |line| self.line(line));
        self.lines = lines;
    }

    /// There is no more.
    pub(super) fn finish(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.finish(|line| self.line(line));
    }

    /// The media type that it gave its output.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// How long it asked to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The end of what it said, apart from what was for raincheck.
    pub(super) fn into_tail(self) -> Vec<u8> {
        self.tail.into_bytes()
    }

    fn line(&mut self, line: &[u8]) {
        if line.starts_with(b"::") && std::str::from_utf8(line).is_ok_and(|line| self.understand(line.trim_end())) {
            return;
        }
        self.tail.push(line);
        self.context.log(String::from_utf8_lossy(line));
    }

    fn understand(&mut self, line: &str) -> bool {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match what {
            "::progress" => {
                let (percent, message) = rest.split_once(' ').unwrap_or((rest, ""));
                let Ok(percent) = percent.trim_end_matches('%').parse::<f64>() else { return false };
                self.context.report(percent, message.trim());
            }
            "::content-type" if rest.contains('/') => self.content_type = Some(rest.to_owned()),
            "::retry-after" => match parse_duration(rest) {
                Ok(delay) => self.retry_after = Some(delay.min(LONGEST_DELAY)),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }
}

/// Makes lines of what comes in pieces, with their ends.
#[derive(Default)]
pub(super) struct Lines {
    part: Vec<u8>,
}

impl Lines {
    /// Adds a piece. Of a line that does not end, so much is passed on as a line may have.
    pub(super) fn push(&mut self, mut piece: &[u8], mut take: impl FnMut(&[u8])) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = piece.split_at(end + 1);
            if self.part.is_empty() {
                take(line);
            } else {
                self.part.extend_from_slice(line);
                take(&self.part);
                self.part.clear();
            }
            piece = rest;
        }
        self.part.extend_from_slice(piece);
        if self.part.len() >= LONGEST_LINE {
            self.finish(take);
        }
    }

    /// Passes on what was left without an end.
    pub(super) fn finish(&mut self, mut take: impl FnMut(&[u8])) {
        if !self.part.is_empty() {
            take(&self.part);
            self.part.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::trial::attempt;

    type Reported = (f64, Option<String>);

    fn said(pieces: &[&str]) -> (Spoken, Vec<String>, Option<Reported>) {
        let (context, reported, _) = attempt();
        let mut spoken = Spoken::new(context.clone());
        for piece in pieces {
            spoken.hear(piece.as_bytes());
        }
        spoken.finish();
        let progress = reported.borrow().clone().map(|progress| (progress.percent, progress.message));
        (spoken, context.logged(), progress)
    }

    #[test]
    fn lines_for_raincheck_are_understood_however_they_come_and_all_others_are_logged() {
        let (spoken, logged, progress) = said(&[
            "hello\n::prog",
            "ress 42.5% rendering",
            " page 3\r\n::content-type image/png\n::retry-",
            "after 30s\nbye",
        ]);
        assert_eq!(progress, Some((42.5, Some("rendering page 3".to_owned()))));
        assert_eq!(spoken.content_type(), Some("image/png"));
        assert_eq!(spoken.retry_after(), Some(Duration::from_secs(30)));
        assert_eq!(logged, ["hello", "bye"]);
        assert_eq!(spoken.into_tail(), b"hello\nbye");
    }

    #[test]
    fn a_line_that_only_looks_like_one_for_raincheck_is_logged() {
        let lines = [
            "::progress soon",
            "::progress",
            "::retry-after a while",
            "::content-type png",
            "::else 1",
            "a ::progress 1",
        ];
        let (spoken, logged, progress) = said(&[&lines.join("\n")]);
        assert_eq!((logged, progress), (lines.map(str::to_owned).to_vec(), None));
        assert_eq!((spoken.content_type(), spoken.retry_after()), (None, None));
        assert_eq!(said(&["::progress 7"]).2, Some((7.0, None)));
        assert_eq!(said(&["::progress 700 x"]).2, Some((100.0, Some("x".to_owned()))));
    }

    #[test]
    fn a_line_that_never_ends_is_passed_on_in_parts() {
        let mut spoken = Spoken::new(attempt().0);
        for _ in 0..100 {
            spoken.hear(&[b'x'; 1000]);
            assert!(spoken.lines.part.len() < 2 * LONGEST_LINE);
        }
    }
}
