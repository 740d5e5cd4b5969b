//! What becomes of the ticks of a schedule that nobody made a job for in time: after a pause of the service, an outage, or
//! a queue that was full.

use core::fmt;
use core::str::FromStr;

use super::cron::Cron;
use super::ids::Timestamp;

/// How late a tick may be that is not to be caught up with: what is longer than the loops take to look.
const PROMPT: time::Duration = time::Duration::MINUTE;
/// Ticks that were missed are counted up to so many at a time; beyond, nobody waits for the exact number.
const COUNTED: usize = 10_000;

/// A policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// A tick that is more than a minute late is not run.
    Skip,
    /// However many are late, the latest is run.
    One,
    /// All are run, in their order: the latest so many.
    All {
        /// At least 1.
        most: u32,
    },
}

/// What is to be done about a schedule that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Ticks to run, in their order.
    pub run: Vec<Timestamp>,
    /// Ticks that are passed over. Counted up to some thousands.
    pub missed: u32,
    /// The first tick that is not due yet; `None`: there is none, the calendar ends.
    pub next: Option<Timestamp>,
}

impl CatchUp {
    /// What is run at `now` of a schedule whose first tick that was not run is `first`.
    pub fn due(self, cron: &Cron, first: Timestamp, now: Timestamp) -> Due {
        if first > now {
            return Due { run: Vec::new(), missed: 0, next: Some(first) };
        }
        let most = match self {
            Self::Skip | Self::One => 1,
            Self::All { most } => most.max(1),
        };
        let mut run = latest(cron, first, now, most.try_into().unwrap_or(usize::MAX));
        if self == Self::Skip {
            run.retain(|tick| now - *tick <= PROMPT);
        }
        let before = run.first().copied().unwrap_or(now + time::Duration::SECOND);
        let missed = from(cron, first).take_while(|tick| *tick < before).take(COUNTED).count();
        Due { run, missed: missed.try_into().unwrap_or(u32::MAX), next: cron.next_after(now) }
    }

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::One => "one",
            Self::All { .. } => "all",
        }
    }
}

/// The tick that is known to be one, and those after it.
fn from(cron: &Cron, first: Timestamp) -> impl Iterator<Item = Timestamp> {
    std::iter::once(first).chain(cron.ticks_after(first))
}

/// The latest so many ticks from `first` until `now`: looked for in ever longer times before `now`, so that the minutes of
/// a year are not walked through for the last of them.
fn latest(cron: &Cron, first: Timestamp, now: Timestamp, most: usize) -> Vec<Timestamp> {
    let mut window = time::Duration::HOUR;
    loop {
        let start = now.checked_sub(window).filter(|start| *start > first);
        let mut ticks: Vec<Timestamp> = match start {
            Some(start) => cron.ticks_after(start).take_while(|tick| *tick <= now).collect(),
            None => from(cron, first).take_while(|tick| *tick <= now).collect(),
        };
        if ticks.len() >= most || start.is_none() {
            return ticks.split_off(ticks.len().saturating_sub(most));
        }
        window *= 4;
    }
}

/// A policy as it is written: `skip`, `one` or `all`, the latter without its bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be skip, one or all")]
pub struct UnknownCatchUp;

/// A policy by its name, with the usual bound.
impl FromStr for CatchUp {
    type Err = UnknownCatchUp;

    fn from_str(text: &str) -> Result<Self, UnknownCatchUp> {
        match text {
            "skip" => Ok(Self::Skip),
            "one" => Ok(Self::One),
            "all" => Ok(Self::All { most: Self::USUAL }),
            _ => Err(UnknownCatchUp),
        }
    }
}

impl CatchUp {
    /// Ticks that `all` runs at most, unless told otherwise.
    pub const USUAL: u32 = 100;
    /// As many as it can be told to.
    pub const MOST: u32 = 1_000;

    /// The bound of `all`; the others have none.
    pub const fn most(self) -> Option<u32> {
        match self {
            Self::All { most } => Some(most),
            Self::Skip | Self::One => None,
        }
    }

    /// The same policy with another bound, if it has one.
    #[must_use]
    pub const fn with_most(self, most: u32) -> Self {
        match self {
            Self::All { .. } => Self::All { most },
            other => other,
        }
    }
}

impl fmt::Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;

    use super::*;

    fn hourly() -> Cron {
        "0 * * * *".parse().unwrap()
    }

    fn hour(n: i64) -> Timestamp {
        Timestamp::from_unix_timestamp(1_800_000_000).unwrap() + Duration::hours(n)
    }

    const ALL: CatchUp = CatchUp::All { most: 3 };

    #[test]
    fn a_tick_in_time_is_run_whatever_the_policy() {
        for policy in [CatchUp::Skip, CatchUp::One, ALL] {
            for late in [Duration::ZERO, Duration::seconds(40)] {
                let due = policy.due(&hourly(), hour(0), hour(0) + late);
                assert_eq!(due, Due { run: vec![hour(0)], missed: 0, next: Some(hour(1)) }, "{policy}");
            }
            let early = policy.due(&hourly(), hour(0), hour(0) - Duration::MILLISECOND);
            assert_eq!(early, Due { run: vec![], missed: 0, next: Some(hour(0)) });
        }
    }

    #[test]
    fn after_five_hours_away_each_policy_does_what_it_says() {
        let now = hour(4) + Duration::minutes(30);
        let due = |policy: CatchUp| policy.due(&hourly(), hour(0), now);
        assert_eq!(due(CatchUp::Skip), Due { run: vec![], missed: 5, next: Some(hour(5)) });
        assert_eq!(due(CatchUp::One), Due { run: vec![hour(4)], missed: 4, next: Some(hour(5)) });
        assert_eq!(due(ALL), Due { run: vec![hour(2), hour(3), hour(4)], missed: 2, next: Some(hour(5)) });
        let on_time = CatchUp::Skip.due(&hourly(), hour(0), hour(4) + Duration::SECOND);
        assert_eq!(on_time, Due { run: vec![hour(4)], missed: 4, next: Some(hour(5)) });
    }

    #[test]
    fn years_of_minutes_are_not_walked_through() {
        let every_minute: Cron = "* * * * *".parse().unwrap();
        let due = CatchUp::One.due(&every_minute, hour(0), hour(24 * 365 * 50));
        assert_eq!((due.run, due.missed), (vec![hour(24 * 365 * 50)], 10_000));
    }

    #[test]
    fn a_policy_is_read_by_its_name() {
        for policy in [CatchUp::Skip, CatchUp::One, CatchUp::All { most: CatchUp::USUAL }] {
            assert_eq!(policy.as_str().parse(), Ok(policy));
        }
        assert_eq!("never".parse::<CatchUp>(), Err(UnknownCatchUp));
    }

    proptest! {
        #[test]
        fn no_tick_is_run_twice_nor_lost_by_all_however_the_looks_fall(
            looks in prop::collection::vec(0_i64..200_000, 1..12),
        ) {
            let cron = hourly();
            let policy = CatchUp::All { most: 1_000 };
            let (mut next, mut run, mut now) = (hour(0), Vec::new(), hour(0));
            for step in looks {
                now += Duration::seconds(step);
                let due = policy.due(&cron, next, now);
                prop_assert_eq!(due.missed, 0);
                run.extend(due.run);
                next = due.next.unwrap();
                prop_assert!(next > now);
            }
            let expected: Vec<Timestamp> = from(&cron, hour(0)).take_while(|tick| *tick <= now).collect();
            prop_assert_eq!(run, expected);
        }
    }
}
