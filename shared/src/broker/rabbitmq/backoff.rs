//! Pauses between attempts: exponential with full jitter, so that a broker that comes back is not met by everybody at
//! once.

use std::time::Duration;

use crate::lifecycle::IdSource;

const FIRST: Duration = Duration::from_millis(100);

/// The pauses of one thing that is tried until it works.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn up_to(max: Duration) -> Self {
        Self { ceiling: FIRST.min(max), max }
    }

    /// It worked: begin again with short pauses.
    pub(super) fn reset(&mut self) {
        self.ceiling = FIRST.min(self.max);
    }

    /// The next pause. Never shorter than a fifth of its ceiling: an attempt costs the broker something.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.ceiling.mul_f64(0.2 + 0.8 * IdSource.fraction());
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_maximum_and_shrink_after_success() {
        let max = Duration::from_secs(3);
        let mut backoff = Backoff::up_to(max);
        assert!(backoff.pause() <= FIRST);
        let pauses: Vec<_> = (0..50).map(|_| backoff.pause()).collect();
        assert!(pauses.iter().all(|pause| *pause <= max));
        assert!(pauses.iter().skip(10).any(|pause| *pause > max / 2));
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
