//! What a store keeps of the lines that handlers write.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Fence, JobId, Timestamp};

/// Bytes of one line; the rest of a longer one is a line of its own.
pub const LONGEST_LINE: usize = 8 * 1024;

/// The lines of a text, as they are kept.
pub fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let mut rest = Some(line);
        std::iter::from_fn(move || {
            let (part, more) = rest.map(|rest| rest.split_at(rest.floor_char_boundary(LONGEST_LINE)))?;
            rest = (!more.is_empty()).then_some(more);
            Some(part)
        })
    })
}

/// A line that a handler wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When, to the microsecond.
    pub at: Timestamp,
    /// What, without its end of line.
    pub line: String,
}

/// Lines of one attempt, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// Which attempt; without the right token nothing is kept.
    pub fence: Fence,
    /// The lines; never none.
    pub entries: Vec<LogEntry>,
}

/// A line as it can be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// Its number in the job's log, from 1, over all attempts.
    pub number: u32,
    /// When it was written.
    pub at: Timestamp,
    /// Which attempt wrote it.
    pub attempt: i32,
    /// What it says.
    pub line: String,
}

/// The logs' side of the store.
#[async_trait]
pub trait Logs: Send + Sync {
    /// Adds lines to the logs of jobs that run under these fences. A log that has reached `limit` bytes takes no more, and
    /// neither does one whose attempt is over. Batches of one job come one after another, not at once.
    async fn append_logs(&self, batches: &[LogBatch], limit: u64) -> Result<(), StoreError>;

    /// Reads up to `limit` lines after number `after`.
    async fn list_logs(&self, id: JobId, after: u32, limit: u32) -> Result<Vec<LoggedLine>, StoreError>;
}

/// Lines as they are kept: `[[microseconds since the epoch, "line"], …]`.
pub(crate) fn write_entries(entries: &[LogEntry]) -> String {
    let pair = |entry: &LogEntry| {
        let micros = i64::try_from(entry.at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX);
        serde_json::json!([micros, entry.line])
    };
    entries.iter().map(pair).collect::<serde_json::Value>().to_string()
}

/// The same, read back, of a batch that begins with line `first`.
pub(crate) fn read_entries(text: &str, first: u32, attempt: i32) -> Result<Vec<LoggedLine>, String> {
    let entries: Vec<(i64, String)> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let line = |(number, (micros, line)): (u32, (i64, String))| {
        let at = Timestamp::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|error| error.to_string())?;
        Ok(LoggedLine { number, at, attempt, line })
    };
    (first..).zip(entries).map(line).collect()
}

/// Bytes that lines count for: each with its end.
pub(crate) fn size_of(entries: &[LogEntry]) -> i64 {
    let bytes: usize = entries.iter().map(|entry| entry.line.len() + 1).sum();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Of batches read from the one that holds line `after + 1` on: the lines that were asked for.
pub(crate) fn page(lines: impl Iterator<Item = LoggedLine>, after: u32, limit: u32) -> Vec<LoggedLine> {
    lines.filter(|line| line.number > after).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
}
