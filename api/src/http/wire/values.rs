//! Single values as text. Each error is a sentence that can be shown.

use std::time::Duration;

use raincheck_shared::config::{InvalidDuration, LONGEST_DURATION, format_duration, parse_duration};
use raincheck_shared::domain::Timestamp;
use time::UtcOffset;
use time::format_description::well_known::Rfc3339;

/// `"30s"`
pub(crate) fn read_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        // In a file of settings, space around a duration is harmless; here, what the document does not say is refused.
        Ok(duration) if text.trim() == text => Ok(duration),
        Err(InvalidDuration::TooLong(_)) => Err(format!("must be at most {}", format_duration(LONGEST_DURATION))),
        _ => Err("must be a duration: a whole number and one of ms, s, m, h, d, such as 30s".to_owned()),
    }
}

/// How long to wait: what is too long is cut later on, so this only has to be a duration.
pub(crate) fn read_wait(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Err(InvalidDuration::TooLong(_)) => Ok(LONGEST_DURATION),
        _ => read_duration(text),
    }
}

/// `"2026-12-01T12:00:00Z"`
pub(crate) fn read_instant(text: &str) -> Result<Timestamp, String> {
    let instant = Timestamp::parse(text, &Rfc3339)
        .map_err(|_| "must be an instant as in RFC 3339, such as 2026-12-01T12:00:00Z".to_owned())?;
    // An offset can carry the first or last instant of all out of the calendar, or before the year 0, which cannot be
    // written: a job with such an instant could be kept, but never shown.
    let instant = instant.checked_to_offset(UtcOffset::UTC).filter(|instant| (0..=9999).contains(&instant.year()));
    instant.ok_or_else(|| "is out of range".to_owned())
}

/// A whole number from `min` to `max`.
pub(crate) fn read_number(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let number = text.parse().ok().filter(|n| (min..=max).contains(n));
    number.ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// `true` or `false`
pub(crate) fn read_flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit_and_nothing_around_it() {
        assert_eq!(read_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "5", " 5s", "5s ", "5 s", "5s\n", "+5s", "1.5s", "5S", "99999d"] {
            assert!(read_duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn instants_are_taken_to_utc_and_nonsense_is_refused() {
        assert_eq!(read_instant("2026-12-01T13:00:00+01:00"), read_instant("2026-12-01T12:00:00Z"));
        for bad in ["", "tomorrow", "2026-12-01", "2026-13-01T12:00:00Z"] {
            assert!(read_instant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_an_offset_carries_out_of_the_years_that_can_be_written_is_refused() {
        for bad in ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"] {
            assert!(read_instant(bad).is_err(), "{bad}");
        }
        for good in ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"] {
            assert_eq!(read_instant(good).unwrap().format(&Rfc3339).unwrap(), good);
        }
    }
}
