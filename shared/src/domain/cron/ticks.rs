//! The instants at which a cron is due, over the hours that a clock skips or repeats.
//!
//! A cron that names hours goes by the clock on the wall: each time that it names comes once a day. One that the clock skips
//! comes right after the gap (several of them as one), one that the clock shows twice comes the first time. A cron of every
//! hour goes by the time that passes: it is due whenever the clock shows one of its minutes.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::AmbiguousOffset;
use time::UtcOffset;

use super::Cron;
use crate::domain::ids::Timestamp;

/// Days that are looked through for one that fits: a 29 February on a Sunday may take forty years.
const MOST_DAYS: usize = 41 * 366;
const MINUTE: i64 = 60;

impl Cron {
    /// The first tick after an instant. `None`: the calendar ends before.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::new(after.unix_timestamp(), after.nanosecond().try_into().ok()?).ok()?;
        let next = if self.fields.is_every_hour() { self.next_passing(after) } else { self.next_shown(after) };
        Timestamp::from_unix_timestamp(next?.as_second()).ok()
    }

    /// All ticks after an instant, in order.
    pub fn ticks_after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(after), |tick| self.next_after(*tick))
    }

    /// The same instant as the clock of its zone shows it.
    pub fn local(&self, at: Timestamp) -> Timestamp {
        let offset = jiff::Timestamp::from_second(at.unix_timestamp()).map(|at| self.zone.to_offset(at).seconds());
        let offset = offset.ok().and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok());
        offset.and_then(|offset| at.checked_to_offset(offset)).unwrap_or(at)
    }

    /// By the clock on the wall.
    fn next_shown(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut date = self.zone.to_datetime(after).date();
        for _ in 0..MOST_DAYS {
            if self.fields.has_day(date)
                && let Some(tick) = self.next_on(date, after)
            {
                return Some(tick);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn next_on(&self, date: Date, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        for hour in self.fields.hours() {
            let at = |minute: i8| Some(self.instant(date.to_datetime(Time::new(hour, minute, 0, 0).ok()?)));
            // What the clock shows later comes no sooner, so the last minute speaks for the hour.
            if at(59)?.is_none_or(|last| last <= after) {
                continue;
            }
            for minute in self.fields.minutes() {
                if let Some(tick) = at(minute)?.filter(|tick| *tick > after) {
                    return Some(tick);
                }
            }
        }
        None
    }

    /// When the clock shows this: the first time if it does so twice, the end of the gap if it does not at all.
    fn instant(&self, shown: DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(shown);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                // By the offset to come it lies before the change.
                let before = after.to_timestamp(shown).ok()?;
                self.zone.following(before).next().map(|change| change.timestamp())
            }
        }
    }

    /// By the time that passes.
    fn next_passing(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut at = (after.as_second().div_euclid(MINUTE) + 1) * MINUTE;
        for _ in 0..MOST_DAYS {
            let instant = jiff::Timestamp::from_second(at).ok()?;
            let shown = self.zone.to_datetime(instant);
            at += MINUTE;
            if !self.fields.has_day(shown.date()) {
                let start = self.instant(self.next_day(shown.date())?.to_datetime(Time::midnight()))?;
                // Where the clock shows the end of a day twice, that day begins before: it is gone through by minutes.
                at = at.max(start.as_second().div_euclid(MINUTE) * MINUTE);
            } else if self.fields.has_minute(shown.minute()) && shown.second() == 0 {
                return Some(instant);
            }
        }
        None
    }

    fn next_day(&self, mut date: Date) -> Option<Date> {
        for _ in 0..MOST_DAYS {
            date = date.tomorrow().ok()?;
            if self.fields.has_day(date) {
                return Some(date);
            }
        }
        None
    }
}
