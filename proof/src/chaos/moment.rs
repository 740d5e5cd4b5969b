//! Instants that all processes of one machine agree on, whatever clock they are shown.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Microseconds of the machine's monotonic clock, asked of the kernel itself: a process with a false clock tells it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Moment(pub i64);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self(micros(ClockId::Monotonic))
    }

    /// When the machine's wall clock showed, or will show, so many microseconds since the epoch.
    pub fn of_wall(since_epoch: i64) -> Self {
        Self(since_epoch - micros(ClockId::Realtime) + micros(ClockId::Monotonic))
    }

    /// What the machine's wall clock shows now, in milliseconds since the epoch.
    pub fn wall_millis() -> u64 {
        u64::try_from(micros(ClockId::Realtime) / 1_000).unwrap_or(0)
    }

    /// Later by so much.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0 + whole(by))
    }

    /// Earlier by so much.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0 - whole(by))
    }

    /// How long from `earlier` to this; nothing if it is the other way round.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

fn micros(clock: ClockId) -> i64 {
    let at = clock_gettime(clock);
    at.tv_sec * 1_000_000 + at.tv_nsec / 1_000
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
