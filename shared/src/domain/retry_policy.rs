//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with full jitter, capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: i32,
    /// Upper end of the first delay; doubles with each failed attempt.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
}

impl RetryPolicy {
    /// The delay after `attempt` (from 1) has failed: evenly drawn between nothing and the exponential bound, so
    /// that jobs which failed together do not come back together. `random` is in `0.0..1.0`.
    pub fn delay_after(&self, attempt: i32, random: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).clamp(0, 30);
        let bound = self.base.saturating_mul(1_u32 << doublings).min(self.cap);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_is_never_longer_than_the_cap_nor_than_the_doubled_base(
            attempt in -3..200_i32, random in 0.0..1.0_f64, base_ms in 1..10_000_u64, cap_ms in 1..10_000_000_u64,
        ) {
            let policy = RetryPolicy {
                max_attempts: 3,
                base: Duration::from_millis(base_ms),
                cap: Duration::from_millis(cap_ms),
            };
            let delay = policy.delay_after(attempt, random);
            prop_assert!(delay <= policy.cap);
            if attempt == 1 {
                prop_assert!(delay <= policy.base);
            }
        }
    }
}
