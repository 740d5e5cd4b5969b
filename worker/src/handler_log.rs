//! What a handler logs, until it is recorded: bounded, in order, once a second and at the end of the attempt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raincheck_shared::domain::Fence;
use raincheck_shared::lifecycle::Clock;
pub(crate) use raincheck_shared::store::LONGEST_LINE;
use raincheck_shared::store::{LogBatch, LogEntry, Logs, StoreError, lines_of};
use raincheck_shared::telemetry::Chain;
use tokio::sync::OwnedMutexGuard;

/// How long the end of an attempt waits for its last lines to be recorded, while the store is away.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

/// The log of one attempt. Cloning shares it.
#[derive(Clone)]
pub(crate) struct HandlerLog {
    unrecorded: Arc<Mutex<Unrecorded>>,
    /// Whoever records holds it: batches of one job go one after another.
    turn: Arc<tokio::sync::Mutex<()>>,
    clock: Arc<dyn Clock>,
    limit: u64,
}

#[derive(Debug)]
struct Unrecorded {
    entries: Vec<LogEntry>,
    /// Bytes that may still come.
    left: u64,
    is_cut: bool,
}

/// Lines on their way to the store.
pub(crate) struct Recording {
    log: HandlerLog,
    batch: LogBatch,
    _turn: OwnedMutexGuard<()>,
}

impl std::fmt::Debug for HandlerLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandlerLog").field("unrecorded", &self.unrecorded).finish_non_exhaustive()
    }
}

impl HandlerLog {
    /// An empty one that takes `limit` bytes.
    pub(crate) fn new(limit: u64, clock: Arc<dyn Clock>) -> Self {
        let unrecorded = Unrecorded { entries: Vec::new(), left: limit, is_cut: limit == 0 };
        Self { unrecorded: Arc::new(Mutex::new(unrecorded)), turn: Arc::default(), clock, limit }
    }

    fn lock(&self) -> MutexGuard<'_, Unrecorded> {
        // Lines and a counter: no panic can leave them half changed.
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds text, line by line.
    pub(crate) fn add(&self, text: &str) {
        let at = self.clock.now();
        let at = at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000).unwrap_or(at);
        let mut unrecorded = self.lock();
        for line in lines_of(text) {
            unrecorded.push(LogEntry { at, line: line.to_owned() }, self.limit);
        }
    }

    /// The lines that nobody has recorded yet.
    pub(crate) fn unrecorded(&self) -> Vec<String> {
        self.lock().entries.iter().map(|entry| entry.line.clone()).collect()
    }

    /// What was added since the last time, if nobody is at it already.
    pub(crate) fn begin_recording(&self, fence: Fence) -> Option<Recording> {
        if self.lock().entries.is_empty() {
            return None;
        }
        let turn = Arc::clone(&self.turn).try_lock_owned().ok()?;
        Some(self.recording(fence, turn))
    }

    fn recording(&self, fence: Fence, turn: OwnedMutexGuard<()>) -> Recording {
        let entries = std::mem::take(&mut self.lock().entries);
        Recording { log: self.clone(), batch: LogBatch { fence, entries }, _turn: turn }
    }

    /// Records the last lines of an attempt, before its end is: who sees the end sees all of its log.
    pub(crate) async fn close(&self, fence: Fence, logs: &dyn Logs) {
        let mut waited = Duration::ZERO;
        loop {
            if self.lock().entries.is_empty() && self.turn.try_lock().is_ok() {
                return;
            }
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let recording = self.recording(fence, turn);
            if recording.batch.entries.is_empty() || record(vec![recording], logs, self.limit).await {
                return;
            }
            if waited >= PATIENCE {
                tracing::warn!(job.id = %fence.job, "the last lines of a log could not be recorded");
                return;
            }
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
    }
}

impl Unrecorded {
    fn push(&mut self, entry: LogEntry, limit: u64) {
        if self.is_cut {
            return;
        }
        let size = u64::try_from(entry.line.len() + 1).unwrap_or(u64::MAX);
        if size > self.left {
            self.is_cut = true;
            let line = format!("[the log was cut here: it may have {limit} bytes, jobs.max_log]");
            self.entries.push(LogEntry { line, ..entry });
            return;
        }
        self.left -= size;
        self.entries.push(entry);
    }
}

/// Records what was begun. False: the store is away, and all of it is to be recorded later.
pub(crate) async fn record(recordings: Vec<Recording>, logs: &dyn Logs, limit: u64) -> bool {
    let mut recordings = recordings;
    let batches: Vec<LogBatch> = recordings
        .iter_mut()
        .map(|recording| LogBatch {
            fence: recording.batch.fence,
            entries: std::mem::take(&mut recording.batch.entries),
        })
        .collect();
    match logs.append_logs(&batches, limit).await {
        Ok(()) => true,
        Err(error @ StoreError::Unavailable(_)) => {
            tracing::debug!(error = %Chain(&error), "logs were not recorded");
            for (recording, batch) in recordings.iter().zip(batches) {
                recording.log.lock().entries.splice(..0, batch.entries);
            }
            false
        }
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "logs cannot be kept");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::SystemClock;

    use super::*;

    #[test]
    fn text_is_taken_apart_into_lines_and_a_long_one_into_several() {
        let log = HandlerLog::new(1 << 20, SystemClock::shared());
        log.add("one\r\ntwo\n\nfour");
        log.add(&"ü".repeat(LONGEST_LINE / 2 + 1));
        let lines = log.unrecorded();
        assert_eq!(lines[..4], ["one", "two", "", "four"]);
        assert_eq!((lines[4].len(), lines[5].as_str(), lines.len()), (LONGEST_LINE, "ü", 6));
    }

    #[test]
    fn a_log_that_is_too_long_is_cut_and_says_so_once() {
        let log = HandlerLog::new(10, SystemClock::shared());
        log.add("12345");
        log.add("6789");
        log.add("a\nb");
        assert_eq!(log.unrecorded(), ["12345", "[the log was cut here: it may have 10 bytes, jobs.max_log]"]);
        let none = HandlerLog::new(0, SystemClock::shared());
        none.add("x");
        assert!(none.unrecorded().is_empty());
    }
}
