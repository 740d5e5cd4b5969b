//! The store's time, told by this process.
//!
//! The store's clock decides when a delayed job is due, and when a job that was not started has expired. What a client says
//! as a duration (`delay`, `timeouts.start`) has to be counted from the same clock, or a replica whose clock is an hour
//! ahead makes its clients wait an hour. So each process asks the store for its time now and then, and counts on from there
//! with a clock that nobody sets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Schema;
use crate::domain::Timestamp;
use crate::lifecycle::{Clock, Shutdown, SystemClock};
use crate::telemetry::Chain;

/// Between two looks: what two clocks drift apart meanwhile is far below a millisecond.
const PERIOD: Duration = Duration::from_secs(10);
/// Between two looks until the first answer.
const SOON: Duration = Duration::from_secs(1);
/// An answer that took longer says too little.
const PROMPT: Duration = Duration::from_millis(500);

/// What the store's clock showed, and when that was.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    time: Timestamp,
}

/// Tells the store's time, and until it has answered once the machine's.
#[derive(Debug, Default)]
pub struct StoreClock {
    machine: SystemClock,
    reading: Mutex<Option<Reading>>,
}

impl StoreClock {
    /// Asks once, and then keeps asking alongside.
    pub async fn start(schema: Arc<dyn Schema>, shutdown: &Shutdown) -> Arc<Self> {
        let clock = Arc::new(Self::default());
        clock.ask(&*schema).await;
        let asking = Arc::clone(&clock);
        shutdown.spawn_service(async move {
            loop {
                tokio::time::sleep(if asking.reading().is_some() { PERIOD } else { SOON }).await;
                asking.ask(&*schema).await;
            }
        });
        clock
    }

    async fn ask(&self, schema: &dyn Schema) {
        let asked = self.machine.monotonic();
        match schema.time().await {
            Ok(time) => self.note(asked, self.machine.monotonic(), time),
            // What was read last stays good enough.
            Err(error) => tracing::debug!(error = %Chain(&error), "the store does not tell its time"),
        }
    }

    /// Notes what was answered to a question; unless that took long, half of the way is the best guess of when it was so.
    fn note(&self, asked: Instant, answered: Instant, time: Timestamp) {
        let took = answered.saturating_duration_since(asked);
        if took <= PROMPT {
            let reading = Reading { at: asked + took / 2, time };
            *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        }
    }

    fn reading(&self) -> Option<Reading> {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        self.reading().map_or_else(
            || self.machine.now(),
            |reading| reading.time + self.monotonic().saturating_duration_since(reading.at),
        )
    }

    fn monotonic(&self) -> Instant {
        self.machine.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_time_counts_whatever_the_machine_shows() {
        let clock = StoreClock::default();
        assert!((clock.now() - SystemClock.now()).abs() < Duration::from_secs(5), "nothing was read yet");

        let asked = clock.monotonic();
        let in_an_hour = SystemClock.now() + Duration::from_hours(1);
        clock.note(asked, asked + Duration::from_millis(100), in_an_hour);
        let ahead = clock.now() - SystemClock.now();
        assert!((ahead - Duration::from_hours(1)).abs() < Duration::from_secs(5), "{ahead}");

        clock.note(asked, asked + Duration::from_secs(3), Timestamp::UNIX_EPOCH);
        assert!(clock.now() > in_an_hour - Duration::from_secs(5), "an answer that took long is not taken");
    }
}
