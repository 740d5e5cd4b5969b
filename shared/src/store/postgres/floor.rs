//! From which id on dispatches that wait to be published are looked for.
//!
//! While somebody holds an old snapshot, as a backup does, rows that were deleted since stay where they were: a look for the first
//! that waits would step over each of them, and take longer with every dispatch until the backup is done. So it begins a while
//! below the newest that there was, and no later than at the oldest that was found to wait.

use std::time::{Duration, Instant};

/// What was the newest then is where looks begin later: a transaction that took a lower id may not be committed yet.
const LAG: Duration = Duration::from_secs(20);
/// How often everything is looked through all the same. What comes below is rare, and can wait so long: a transaction that took
/// longer, or what was published, seemed to be lost, and was forgotten once more.
const ALL: Duration = Duration::from_mins(1);

/// Where one process begins.
#[derive(Debug, Default)]
pub(super) struct Floor {
    from: i64,
    mark: i64,
    marked_at: Option<Instant>,
    all_at: Option<Instant>,
}

impl Floor {
    /// The lowest id that a look at this time is for.
    pub(super) fn begin(&mut self, now: Instant) -> i64 {
        if self.all_at.is_none_or(|at| now.saturating_duration_since(at) >= ALL) {
            self.all_at = Some(now);
            return 0;
        }
        self.from
    }

    /// What that look found: the oldest that waits to be published, and the newest there is.
    pub(super) fn found(&mut self, oldest: Option<i64>, newest: Option<i64>, now: Instant) {
        if let Some(newest) = newest {
            if newest < self.from {
                // The database was restored, and gives the same ids again.
                *self = Self { all_at: self.all_at, ..Self::default() };
            }
            if self.marked_at.is_none_or(|at| now.saturating_duration_since(at) >= LAG) {
                self.from = self.mark;
                self.mark = newest;
                self.marked_at = Some(now);
            }
        }
        self.from = self.from.min(oldest.unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Clock, SystemClock};

    /// A floor, and a look at it after so many seconds, which finds this.
    fn after(floor: &mut Floor, start: Instant, seconds: u64, found: (Option<i64>, Option<i64>)) -> i64 {
        let now = start + Duration::from_secs(seconds);
        let from = floor.begin(now);
        floor.found(found.0, found.1, now);
        from
    }

    #[test]
    fn looks_begin_at_what_was_new_a_while_ago_and_now_and_then_at_the_first_of_all() {
        let (mut floor, start) = (Floor::default(), SystemClock.monotonic());
        let looks: Vec<i64> = (0..70)
            .map(|second| after(&mut floor, start, second, (None, Some(1000 + i64::try_from(second).expect("small")))))
            .collect();
        assert_eq!((looks[20], looks[21], looks[40], looks[41]), (0, 1000, 1000, 1020));
        assert_eq!((looks[59], looks[60], looks[61], looks[69]), (1020, 0, 1040, 1040));
    }

    #[test]
    fn what_waits_is_never_below_and_nothing_new_moves_nothing() {
        let (mut floor, start) = (Floor::default(), SystemClock.monotonic());
        for second in 0..50 {
            after(&mut floor, start, second, (Some(7), Some(500)));
        }
        assert_eq!(after(&mut floor, start, 50, (Some(7), None)), 7);
        assert_eq!(after(&mut floor, start, 51, (None, None)), 7);
    }

    #[test]
    fn ids_that_are_given_once_more_are_looked_for_from_the_first() {
        let (mut floor, start) = (Floor::default(), SystemClock.monotonic());
        for second in 0..=60 {
            after(&mut floor, start, second, (None, Some(9000)));
        }
        assert_eq!(after(&mut floor, start, 61, (None, None)), 9000);
        // What the look for all, once a minute, comes upon.
        after(&mut floor, start, 120, (Some(12), Some(12)));
        assert_eq!(after(&mut floor, start, 121, (None, None)), 0);
    }
}
