//! How long a message waits for others, to be claimed with them.
//!
//! Few large statements cost less than many small ones. So while the store has a claim or an end of this worker's under way,
//! what arrives waits for that, as a batch does; and in a flood, until some time has passed since the last claim. Alone it is
//! claimed at once. A store that is slower than the longest wait has claims beside one another.

use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_millis(8);

/// Some messages, as they arrived.
pub(super) struct Patience<A> {
    /// Whether the store has something of this worker's under way.
    pub(super) busy: bool,
    /// When the last claim began, in a flood that leaves slots free.
    pub(super) last_claim: Option<Instant>,
    pub(super) arrived: A,
}

impl<A: Iterator<Item = Instant>> Patience<A> {
    /// Whether all of them may wait for more.
    pub(super) fn has_room(mut self, now: Instant) -> bool {
        let waits = self.busy || self.last_claim.is_some_and(|began| now < began + LONGEST);
        waits && self.arrived.all(|at| now < at + LONGEST)
    }

    /// When the next of them has waited long enough. Those that have already wait for slots.
    pub(super) fn ends(self, now: Instant) -> Option<Instant> {
        let first = self.arrived.map(|at| at + LONGEST).filter(|end| *end > now).min()?;
        let flood = self.last_claim.map(|began| began + LONGEST).filter(|end| *end > now);
        Some(flood.map_or(first, |flood| flood.min(first)))
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
            Patience { busy, last_claim: None, arrived: arrived.iter().map(|millis| at(*millis)) }.has_room(at(now))
        };
        assert!(!waiting(false, &[0], 0), "an idle store is asked at once");
        assert!(waiting(true, &[0, 3], 4));
        assert!(!waiting(true, &[0, 3], 8), "the first has waited long enough for all");
    }

    #[test]
    fn the_end_of_the_wait_is_that_of_the_oldest_which_has_not_come_to_it() {
        let began = SystemClock.monotonic();
        let at = |millis| began + Duration::from_millis(millis);
        let end = |arrived: &[u64], now| {
            Patience { busy: true, last_claim: None, arrived: arrived.iter().map(|millis| at(*millis)) }.ends(at(now))
        };
        assert_eq!(end(&[3, 1], 2), Some(at(9)));
        assert_eq!(end(&[1, 3], 9), Some(at(11)), "one without a slot wakes nobody over and over");
        assert_eq!(end(&[1], 9), None);
    }

    #[test]
    fn in_a_flood_some_time_passes_between_two_claims() {
        let began = SystemClock.monotonic();
        let at = |millis| began + Duration::from_millis(millis);
        let arrived = |millis: &'static [u64]| millis.iter().map(move |millis| at(*millis));
        let flood = |millis, last| Patience { busy: false, last_claim: Some(at(last)), arrived: arrived(millis) };
        assert!(flood(&[4, 5], 2).has_room(at(9)));
        assert!(!flood(&[4, 5], 2).has_room(at(10)), "the time has passed");
        assert!(!flood(&[1, 9], 2).has_room(at(9)), "one that the last claim left has waited long enough");
        assert_eq!(flood(&[5, 4], 2).ends(at(6)), Some(at(10)), "when the flood has had its time");
        assert_eq!(flood(&[5, 4], 2).ends(at(10)), Some(at(12)), "or when the first has waited long enough");
        assert_eq!(flood(&[], 2).ends(at(6)), None, "nothing waits");
    }
}
