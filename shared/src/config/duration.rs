//! Durations as people write them: `"250ms"`, `"30s"`, `"5m"`, `"12h"`, `"7d"`.

use std::time::Duration;

/// A hundred years: sums of durations and instants never overflow.
pub const LONGEST_DURATION: Duration = Duration::from_hours(100 * 366 * 24);

/// Not a duration, or none that is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// It is something else.
    #[error("{0:?} is not a duration: a whole number and a unit, one of ms, s, m, h, d, such as \"30s\"")]
    NoDuration(String),
    /// It is longer than [`LONGEST_DURATION`].
    #[error("{0:?} is too long a duration: at most {longest}", longest = format_duration(LONGEST_DURATION))]
    TooLong(String),
}

/// Reads `"30s"`.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let shown = || text.chars().take(40).collect();
    let invalid = || InvalidDuration::NoDuration(shown());
    let too_long = || InvalidDuration::TooLong(shown());
    let text_trimmed = text.trim();
    let digits = text_trimmed.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0).ok_or_else(invalid)?;
    let (number, unit) = text_trimmed.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(invalid()),
    };
    // Nothing but digits: what does not fit is too large.
    let number: u64 = number.parse().map_err(|_| too_long())?;
    let duration = Duration::from_millis(number.checked_mul(millis).ok_or_else(too_long)?);
    if duration > LONGEST_DURATION { Err(too_long()) } else { Ok(duration) }
}

/// Writes a duration in the largest unit that says it exactly.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis > 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0..10_000_000_000_u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = parse_duration(&text);
        }
    }

    #[test]
    fn what_is_too_long_is_told_from_what_is_no_duration() {
        for long in ["36601d", "40000d", "99999999999999999999s", "18446744073709551615d"] {
            assert!(matches!(parse_duration(long), Err(InvalidDuration::TooLong(_))), "{long}");
        }
        for other in ["", "s", "40000", "40000w", "-40000d", "99999999999999999999"] {
            assert!(matches!(parse_duration(other), Err(InvalidDuration::NoDuration(_))), "{other}");
        }
        assert_eq!(parse_duration("36600d"), Ok(LONGEST_DURATION));
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for bad in ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "40000d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
