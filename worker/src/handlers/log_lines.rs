//! Makes lines of what a program writes in pieces.

use crate::Context;
use crate::handler_log::LONGEST_LINE;

/// Passes whole lines on to the log of an attempt; what is no UTF-8 is replaced.
pub(super) struct LogLines {
    context: Context,
    part: Vec<u8>,
}

impl LogLines {
    /// Lines for the log of this attempt.
    pub(super) fn new(context: Context) -> Self {
        Self { context, part: Vec::new() }
    }

    /// Adds a piece. Of a line that does not end, so much is passed on as a line may have.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.part.extend_from_slice(chunk);
        let whole = match self.part.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.part.len() >= LONGEST_LINE => self.part.len(),
            None => return,
        };
        self.context.log(String::from_utf8_lossy(&self.part[..whole]));
        self.part.drain(..whole);
    }

    /// Passes on what was left without an end.
    pub(super) fn finish(&mut self) {
        if !self.part.is_empty() {
            self.context.log(String::from_utf8_lossy(&self.part));
            self.part.clear();
        }
    }
}
