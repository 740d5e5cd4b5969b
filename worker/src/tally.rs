//! What this worker does, counted for its next sign of life.
//!
//! Rates and run times fade: what ended half a minute ago counts for about a third of what ends now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::domain::{EndsByOutcome, QueueName, QueueReport, WorkerReport};

/// How far back is "lately".
const FADE: Duration = Duration::from_secs(30);
/// The share of the latest run in the average of run times.
const WEIGHT_OF_A_RUN: f64 = 0.1;

#[derive(Debug, Default, Clone)]
struct Line {
    running: u64,
    /// Since the last report.
    ended: u64,
    ends_per_second: f64,
    run_seconds: Option<f64>,
}

#[derive(Debug)]
struct Lines {
    queues: BTreeMap<QueueName, Line>,
    ends: EndsByOutcome,
    reported_at: Option<Instant>,
}

/// The counts of one worker.
#[derive(Debug)]
pub(crate) struct Tally {
    slots: u64,
    lines: Mutex<Lines>,
}

impl Tally {
    /// Of a worker with so many slots that serves these queues.
    pub(crate) fn new(slots: usize, queues: &[QueueName]) -> Self {
        let queues = queues.iter().map(|queue| (queue.clone(), Line::default())).collect();
        let lines = Lines { queues, ends: EndsByOutcome::default(), reported_at: None };
        Self { slots: slots as u64, lines: Mutex::new(lines) }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // Counters: no panic can leave them half changed.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a job of `queue` runs now.
    pub(crate) fn started(&self, queue: &QueueName) {
        self.lock().queues.entry(queue.clone()).or_default().running += 1;
    }

    /// Notes that one has ended which ran for `took`.
    pub(crate) fn ended(&self, queue: &QueueName, took: Duration) {
        let mut lines = self.lock();
        let line = lines.queues.entry(queue.clone()).or_default();
        line.running = line.running.saturating_sub(1);
        line.ended += 1;
        let took = took.as_secs_f64();
        line.run_seconds = Some(line.run_seconds.map_or(took, |mean| mean + (took - mean) * WEIGHT_OF_A_RUN));
    }

    /// Notes what came of attempts.
    pub(crate) fn came_to(&self, count: impl FnOnce(&mut EndsByOutcome)) {
        count(&mut self.lock().ends);
    }

    /// What there is to say at `now`.
    pub(crate) fn report(&self, now: Instant) -> WorkerReport {
        let mut lines = self.lock();
        let since = lines.reported_at.replace(now).map(|at| now.saturating_duration_since(at));
        if let Some(since) = since.filter(|since| !since.is_zero()) {
            let share = 1.0 - (-since.as_secs_f64() / FADE.as_secs_f64()).exp();
            for line in lines.queues.values_mut() {
                #[expect(clippy::cast_precision_loss, reason = "counts of a second or so")]
                let rate = std::mem::take(&mut line.ended) as f64 / since.as_secs_f64();
                line.ends_per_second += (rate - line.ends_per_second) * share;
            }
        }
        let queues = lines.queues.iter().map(|(queue, line)| QueueReport {
            queue: queue.to_string(),
            running: line.running,
            ends_per_second: line.ends_per_second,
            run_seconds: line.run_seconds,
        });
        WorkerReport { slots: self.slots, awaits_upstream: false, queues: queues.collect(), ends: lines.ends }
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::{Clock, SystemClock};

    use super::*;

    #[test]
    fn a_rate_comes_near_what_happens_and_fades_when_nothing_does() {
        let queue: QueueName = "a".parse().unwrap();
        let tally = Tally::new(4, std::slice::from_ref(&queue));
        let mut now = SystemClock.monotonic();
        tally.report(now);
        for _ in 0..120 {
            for _ in 0..10 {
                tally.started(&queue);
                tally.ended(&queue, Duration::from_millis(500));
            }
            now += Duration::from_secs(1);
            tally.report(now);
        }
        let report = tally.report(now);
        assert_eq!((report.slots, report.queues.len(), report.queues[0].running), (4, 1, 0));
        assert!((report.queues[0].ends_per_second - 10.0).abs() < 0.5, "{report:?}");
        assert!((report.queues[0].run_seconds.unwrap() - 0.5).abs() < 0.001);
        let later = tally.report(now + Duration::from_mins(5));
        assert!(later.queues[0].ends_per_second < 0.01, "{later:?}");
    }
}
