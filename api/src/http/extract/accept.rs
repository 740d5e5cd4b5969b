//! `Accept` (RFC 9110): which of the types that a resource has the client wants.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;

use super::prefer::split_unquoted;

/// The media ranges that a client named. Without any, everything is welcome.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Accept(Vec<Range>);

#[derive(Debug, Clone, PartialEq)]
struct Range {
    /// `text`, or `*`
    major: String,
    /// `event-stream`, or `*`
    minor: String,
    /// How welcome it is, in thousandths.
    quality: u16,
}

impl Accept {
    /// As the request says it.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let mut all = Self::default();
        for value in request.headers().get_all(ACCEPT) {
            all.add(value.to_str().unwrap_or_default());
        }
        all
    }

    /// Adds the ranges of one header line. What cannot be read is left out.
    pub(crate) fn add(&mut self, value: &str) {
        self.0.extend(split_unquoted(value, ',').filter_map(Range::read));
    }

    /// How welcome a media type is: 0 (not at all) to 1000. The most specific range decides. Parameters of types mean
    /// nothing here, since no type of ours has any that could be chosen.
    pub(crate) fn quality(&self, major: &str, minor: &str) -> u16 {
        if self.0.is_empty() {
            return 1000;
        }
        let matching = self.0.iter().filter_map(|range| Some((range.specificity(major, minor)?, range.quality)));
        matching.max().map_or(0, |(_, quality)| quality)
    }
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let mut parts = split_unquoted(text, ';').map(str::trim);
        let (major, minor) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(Self {
            major: major.to_ascii_lowercase(),
            minor: minor.to_ascii_lowercase(),
            quality: quality.map_or(Some(1000), read_quality)?,
        })
    }

    fn specificity(&self, major: &str, minor: &str) -> Option<u8> {
        match (self.major.as_str(), self.minor.as_str()) {
            ("*", "*") => Some(0),
            (m, "*") if m == major => Some(1),
            (m, n) if m == major && n == minor => Some(2),
            _ => None,
        }
    }
}

/// `0`, `1`, or either with up to three digits behind the point.
fn read_quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    let quality = if whole == "1" { 1000 + thousandths } else { thousandths };
    (quality <= 1000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(value: &str) -> u16 {
        let mut all = Accept::default();
        all.add(value);
        all.quality("text", "event-stream")
    }

    #[test]
    fn the_most_specific_range_decides_and_nothing_said_is_all_welcome() {
        assert_eq!(stream(""), 1000);
        assert_eq!(stream("*/*"), 1000);
        assert_eq!(stream("text/event-stream"), 1000);
        assert_eq!(stream("TEXT/Event-Stream ; q=0.5"), 500);
        assert_eq!(stream("application/json"), 0);
        assert_eq!(stream("text/*;q=0.3, */*;q=0.9"), 300);
        assert_eq!(stream("text/event-stream;q=0, */*"), 0);
        assert_eq!(stream("text/html, application/xhtml+xml, */*;q=0.8"), 800);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(stream("text/event-stream;q=2, */*;q=0.1"), 100);
        assert_eq!(stream("nonsense"), 1000);
        for bad in ["", "2", "0.1234", "1.001", "-1", "0.x", "."] {
            assert_eq!(read_quality(bad), None, "{bad}");
        }
        assert_eq!(read_quality("0.05"), Some(50));
    }

    #[test]
    fn what_a_parameter_has_in_quotes_names_no_type() {
        assert_eq!(stream(r#"text/html;a=", text/event-stream, ""#), 0);
        assert_eq!(stream(r#"text/html;a="\", text/event-stream", */*;q=0.1"#), 100);
        assert_eq!(stream(r#"text/event-stream;a="x;q=0";q=0.5"#), 500);
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "[ -~]{0,60}") {
            prop_assert!(stream(&value) <= 1000);
        }
    }
}
