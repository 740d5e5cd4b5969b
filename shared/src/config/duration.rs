//! Durations as people write them: `"250ms"`, `"30s"`, `"5m"`, `"12h"`, `"7d"`.

use std::time::Duration;

/// Not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: a whole number and a unit, one of ms, s, m, h, d, such as \"30s\"")]
pub struct InvalidDuration(pub String);

/// Reads `"30s"`. At most 100 years, so that sums with instants never overflow.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.chars().take(40).collect());
    let text_trimmed = text.trim();
    let digits = text_trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
    let (number, unit) = text_trimmed.split_at(digits);
    let number: u64 = number.parse().map_err(|_| invalid())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(invalid()),
    };
    let total = number.checked_mul(millis).ok_or_else(invalid)?;
    if total > 100 * 366 * 86_400_000 {
        return Err(invalid());
    }
    Ok(Duration::from_millis(total))
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
    fn a_number_without_a_unit_is_refused() {
        for bad in ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "40000d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
