//! Time that passes when it is told to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::domain::Timestamp;
use raincheck_shared::lifecycle::{Clock, SystemClock};
use tokio::sync::watch;

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleeper {
    /// The handler.
    Handler,
    /// A limit of its attempt: its timeout, or the grace after it was told to stop.
    Limit,
}

/// A clock that stands still until it is told that time has passed. It starts on 2026-01-01.
#[derive(Debug)]
pub struct VirtualClock {
    base: Instant,
    passed: watch::Sender<Duration>,
    sleepers: Mutex<Sleepers>,
}

#[derive(Debug, Default)]
struct Sleepers {
    /// By when they wake, in the order in which they came.
    waiting: BTreeMap<(Duration, u64), Sleeper>,
    count: u64,
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self { base: SystemClock.monotonic(), passed: watch::Sender::default(), sleepers: Mutex::default() }
    }
}

/// A sleeper that is dropped waits for nothing any more.
struct Waiting<'a>(&'a VirtualClock, (Duration, u64));

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting.remove(&self.1);
    }
}

impl VirtualClock {
    /// How much time has passed since its start.
    pub fn passed(&self) -> Duration {
        *self.passed.borrow()
    }

    /// When the next one wakes; of the handler's own, unless `limits` count too.
    pub(super) fn next(&self, limits: bool) -> Option<Duration> {
        let sleepers = self.lock();
        sleepers.waiting.iter().find(|(_, who)| limits || **who == Sleeper::Handler).map(|((at, _), _)| *at)
    }

    /// It is so late now; never goes back.
    pub(super) fn set(&self, passed: Duration) {
        self.passed.send_modify(|now| *now = passed.max(*now));
    }

    pub(crate) async fn sleep(&self, duration: Duration, who: Sleeper) {
        let until = self.passed().saturating_add(duration);
        let key = {
            let mut sleepers = self.lock();
            sleepers.count += 1;
            let key = (until, sleepers.count);
            sleepers.waiting.insert(key, who);
            key
        };
        let _waiting = Waiting(self, key);
        // The sender is this clock's own.
        let _ = self.passed.subscribe().wait_for(|now| *now >= until).await;
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        // A map and a counter: no panic can leave them half changed.
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        const START: i64 = 1_767_225_600;
        let start = Timestamp::from_unix_timestamp(START).unwrap_or(Timestamp::UNIX_EPOCH);
        let passed = time::Duration::try_from(self.passed()).unwrap_or(time::Duration::MAX);
        start.checked_add(passed).unwrap_or(start)
    }

    fn monotonic(&self) -> Instant {
        self.base + self.passed()
    }
}
