//! The one way to the time, so that tests can hold it.

use std::sync::Arc;
use std::time::Instant;

use crate::domain::Timestamp;

/// Tells the time. Leases and timers do not ask it: the database's clock decides those.
pub trait Clock: Send + Sync {
    /// The time of day, in UTC.
    fn now(&self) -> Timestamp;

    /// A time that only goes forward, for measuring how long something took.
    fn monotonic(&self) -> Instant;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, shared.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now_utc()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}
