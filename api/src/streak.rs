//! Failures in a row of what is tried all the time: shown as trouble, and told in the log once at their begin and once at their end.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::lifecycle::Clock;
use raincheck_shared::telemetry::Chain;

/// So many failures in a row are no accident.
const MANY: u32 = 3;
/// How long the last of them is news, when nothing has been tried since.
const NEWS: Duration = Duration::from_secs(15);

/// Counts them. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Streak(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Told when there are many, with the cause.
    begins: &'static str,
    /// Told when it works again.
    ends: &'static str,
    any: AtomicBool,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Streak {
    /// None so far. `begins` and `ends` are the lines of the log.
    pub(crate) fn none(begins: &'static str, ends: &'static str) -> Self {
        Self(Arc::new(Inner { begins, ends, any: AtomicBool::default(), failures: Mutex::default() }))
    }

    /// It failed.
    pub(crate) fn failed(&self, error: &dyn Error, clock: &dyn Clock) {
        let mut failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count = failures.count.saturating_add(1);
        failures.last = Some(clock.monotonic());
        self.0.any.store(true, Ordering::Release);
        if failures.count == MANY {
            tracing::warn!(error = %Chain(error), "{}", self.0.begins);
        }
    }

    /// It went well.
    pub(crate) fn went_well(&self) {
        if self.0.any.swap(false, Ordering::AcqRel) {
            let failures = std::mem::take(&mut *self.0.failures.lock().unwrap_or_else(PoisonError::into_inner));
            if failures.count >= MANY {
                tracing::info!("{}", self.0.ends);
            }
        }
    }

    /// Whether it keeps failing, as far as is known at the moment.
    pub(crate) fn goes_on(&self, clock: &dyn Clock) -> bool {
        let failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = |last| clock.monotonic().saturating_duration_since(last) < NEWS;
        failures.count >= MANY && failures.last.is_some_and(is_news)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use raincheck_shared::domain::Timestamp;
    use raincheck_shared::lifecycle::SystemClock;

    use super::*;

    struct Set(Instant, AtomicU64);

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            SystemClock.now()
        }

        fn monotonic(&self) -> Instant {
            self.0 + Duration::from_secs(self.1.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn many_failures_in_a_row_are_news_for_a_while_and_one_success_ends_them() {
        let clock = Set(SystemClock.monotonic(), AtomicU64::new(0));
        let streak = Streak::none("nothing can be done", "things are done again");
        let fail = || streak.failed(&std::io::Error::other("no"), &clock);
        fail();
        fail();
        streak.went_well();
        fail();
        fail();
        assert!(!streak.goes_on(&clock));
        fail();
        assert!(streak.goes_on(&clock));
        clock.1.store(NEWS.as_secs(), Ordering::SeqCst);
        assert!(!streak.goes_on(&clock), "nobody has tried since");
        fail();
        assert!(streak.goes_on(&clock));
        streak.went_well();
        assert!(!streak.goes_on(&clock));
    }
}
