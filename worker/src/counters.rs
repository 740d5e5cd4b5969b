//! What a worker has done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the process started.
#[derive(Debug, Default)]
pub struct Counters {
    claimed: AtomicU64,
    finished: AtomicU64,
    fenced: AtomicU64,
}

impl Counters {
    /// Jobs claimed.
    pub fn claimed_total(&self) -> u64 {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Ends of attempts recorded.
    pub fn finished_total(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Late results that the fence refused: attempts that had become somebody else's.
    pub fn fenced_total(&self) -> u64 {
        self.fenced.load(Ordering::Relaxed)
    }

    pub(crate) fn claimed(&self, count: usize) {
        self.claimed.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fenced(&self) -> u64 {
        self.fenced.fetch_add(1, Ordering::Relaxed) + 1
    }
}
