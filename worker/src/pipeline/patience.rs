//! How long a message waits for others, to be claimed with them.
//!
//! Few large statements cost less than many small ones. So while the store has a claim or an end of this worker's under way,
//! what arrives waits for that, as a batch does; alone it is claimed at once. A store that is slower than the longest wait
//! has claims beside one another.

use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_millis(5);

/// Some messages, as they arrived.
pub(super) struct Patience<A> {
    /// Whether the store has something of this worker's under way.
    pub(super) busy: bool,
    pub(super) arrived: A,
}

impl<A: Iterator<Item = Instant>> Patience<A> {
    /// Whether all of them may wait for more.
    pub(super) fn has_room(mut self, now: Instant) -> bool {
        self.busy && self.arrived.all(|at| now < at + LONGEST)
    }

    /// When the next of them has waited long enough. Those that have already wait for slots.
    pub(super) fn ends(self, now: Instant) -> Option<Instant> {
        self.arrived.map(|at| at + LONGEST).filter(|end| *end > now).min()
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::{Clock, SystemClock};

    use super::*;

    #[test]
    fn messages_wait_while_the_store_is_busy_with_this_worker_and_no_longer_than_the_longest_wait() {
        let began = SystemClock.monotonic();
        let at = |millis| began + Duration::from_millis(millis);
        let waiting = |busy, arrived: &[u64], now| {
            Patience { busy, arrived: arrived.iter().map(|millis| at(*millis)) }.has_room(at(now))
        };
        assert!(!waiting(false, &[0], 0), "an idle store is asked at once");
        assert!(waiting(true, &[0, 3], 4));
        assert!(!waiting(true, &[0, 3], 5), "the first has waited long enough for all");
    }

    #[test]
    fn the_end_of_the_wait_is_that_of_the_oldest_which_has_not_come_to_it() {
        let began = SystemClock.monotonic();
        let at = |millis| began + Duration::from_millis(millis);
        let end = |arrived: &[u64], now| {
            Patience { busy: true, arrived: arrived.iter().map(|millis| at(*millis)) }.ends(at(now))
        };
        assert_eq!(end(&[3, 1], 2), Some(at(6)));
        assert_eq!(end(&[1, 3], 6), Some(at(8)), "one without a slot wakes nobody over and over");
        assert_eq!(end(&[1], 6), None);
    }
}
