//! `Range: bytes=…` (RFC 9110), one range. Anything else is ignored, as the RFC allows.

use std::ops::Range as Span;

use actix_web::HttpRequest;
use actix_web::http::header::{IF_RANGE, RANGE};

/// One range that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// `first-` and `first-last`
    From(u64, Option<u64>),
    /// `-length`: the last bytes
    Last(u64),
}

/// What a range is of so many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RangeOutcome {
    /// These bytes, never none.
    Part(Span<u64>),
    /// There are none such.
    Unsatisfiable,
}

impl Range {
    /// The request's range, unless it is for another representation than `etag` (with its quotes).
    pub(crate) fn of(request: &HttpRequest, etag: &str) -> Option<Self> {
        if request.headers().get(IF_RANGE).is_some_and(|wanted| wanted.as_bytes() != etag.as_bytes()) {
            return None;
        }
        Self::parse(request.headers().get(RANGE)?.to_str().ok()?)
    }

    /// Reads the value of the header.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (first, last) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match (first.trim(), last.trim()) {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// Which of `length` bytes it means.
    pub(crate) fn of_length(self, length: u64) -> RangeOutcome {
        let span = match self {
            Self::From(first, last) => first..last.map_or(length, |last| last.saturating_add(1)).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        if span.is_empty() { RangeOutcome::Unsatisfiable } else { RangeOutcome::Part(span) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(value: &str, length: u64) -> Option<RangeOutcome> {
        Range::parse(value).map(|range| range.of_length(length))
    }

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        assert_eq!(part("bytes=0-3", 10), Some(RangeOutcome::Part(0..4)));
        assert_eq!(part("bytes=8-", 10), Some(RangeOutcome::Part(8..10)));
        assert_eq!(part("bytes=8-99", 10), Some(RangeOutcome::Part(8..10)));
        assert_eq!(part("bytes=-3", 10), Some(RangeOutcome::Part(7..10)));
        assert_eq!(part("bytes=-30", 10), Some(RangeOutcome::Part(0..10)));
        for none in ["bytes=10-", "bytes=-0", "bytes=18446744073709551615-"] {
            assert_eq!(part(none, 10), Some(RangeOutcome::Unsatisfiable), "{none}");
        }
        assert_eq!(part("bytes=0-0", 0), Some(RangeOutcome::Unsatisfiable));
    }

    #[test]
    fn several_ranges_other_units_and_nonsense_are_ignored() {
        for other in ["bytes=0-1,3-4", "lines=0-1", "bytes=", "bytes=-", "bytes=3-1", "bytes=a-b", "0-1"] {
            assert_eq!(part(other, 10), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_range_lies_within(value in "bytes=[0-9]{0,20}-[0-9]{0,20}", length in 0..100_u64) {
            if let Some(RangeOutcome::Part(span)) = part(&value, length) {
                prop_assert!(span.start < span.end && span.end <= length);
            }
        }
    }
}
