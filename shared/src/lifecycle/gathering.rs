//! Waiting for those who have just been answered, so that they share a batch with those who waited meanwhile.

use std::time::Duration;

use tokio::time::Instant;

/// With so many at once it is a flood, in which a larger batch is worth a wait.
pub const FLOOD: usize = 16;

/// A wait for those who have just been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gathering {
    /// It is over when so many are there: as many as there were.
    pub(super) wanted: usize,
    /// It is over then in any case.
    pub(super) ends: Instant,
}

/// A batch that has been written.
pub(super) struct Written {
    pub(super) size: usize,
    pub(super) took: Duration,
    /// Items that came meanwhile.
    pub(super) left: usize,
    /// Items of a batch at most.
    pub(super) largest: usize,
    /// How long to gather at most.
    pub(super) longest: Duration,
}

impl Gathering {
    /// What to wait for after a batch was written: in a flood, no longer than that took.
    pub(super) fn after(written: &Written, now: Instant) -> Option<Self> {
        let all = written.size + written.left;
        let longest = written.took.min(written.longest);
        let is_worth_it = all >= FLOOD && !longest.is_zero();
        is_worth_it.then(|| Self { wanted: all.min(written.largest), ends: now + longest })
    }

    /// Whether to wait on, with so many here.
    pub(super) fn goes_on(&self, here: usize, now: Instant) -> bool {
        here < self.wanted && now < self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_gathered_no_longer_than_the_last_write_took_and_nothing_else_is() {
        let now = Instant::now();
        let millis = Duration::from_millis;
        let after = |size, took, left| {
            Gathering::after(&Written { size, took: millis(took), left, largest: 100, longest: millis(5) }, now)
        };
        assert_eq!(after(10, 3, 5), None, "that is no flood");
        assert_eq!(after(10, 3, 6), Some(Gathering { wanted: 16, ends: now + millis(3) }));
        assert_eq!(after(90, 9, 90), Some(Gathering { wanted: 100, ends: now + millis(5) }));
        assert_eq!(after(90, 0, 90), None);
        let never = Written { size: 90, took: millis(9), left: 90, largest: 100, longest: Duration::ZERO };
        assert_eq!(Gathering::after(&never, now), None);
        let gathering = after(10, 3, 6).unwrap();
        assert!(gathering.goes_on(15, now + millis(2)));
        assert!(!gathering.goes_on(16, now + millis(2)) && !gathering.goes_on(15, now + millis(3)));
    }
}
