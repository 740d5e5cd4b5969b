//! `Prefer` (RFC 7240). What is not understood is ignored, as the RFC wants it.

use std::time::Duration;

use actix_web::HttpRequest;

/// The preferences that mean something here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// `respond-async`
    pub(crate) respond_async: bool,
    /// `redirect`: to the result, once there is one
    pub(crate) redirect: bool,
    /// `wait=N`, in whole seconds
    pub(crate) wait: Option<Duration>,
}

impl Prefer {
    /// As the request says it.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let mut all = Self::default();
        for value in request.headers().get_all("prefer") {
            all.add(value.to_str().unwrap_or_default());
        }
        all
    }

    /// Adds the preferences of one header line; the first of two equal names counts.
    pub(crate) fn add(&mut self, value: &str) {
        for preference in split_unquoted(value, ',') {
            // Parameters of a preference mean nothing to us.
            let Some(bare) = split_unquoted(preference, ';').next() else { continue };
            let (name, value) = bare.split_once('=').unwrap_or((bare, ""));
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => self.respond_async = true,
                "redirect" => self.redirect = true,
                "wait" if self.wait.is_none() && value.bytes().all(|b| b.is_ascii_digit()) => {
                    self.wait = value.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
                }
                _ => {}
            }
        }
    }

    /// The answer's `Preference-Applied`, where `waited` is the wait that was granted.
    pub(crate) fn applied(self, answered_async: bool, waited: Option<Duration>) -> Option<String> {
        let mut applied = Vec::new();
        if self.respond_async && answered_async {
            applied.push("respond-async".to_owned());
        }
        if let (Some(_), Some(waited)) = (self.wait, waited) {
            applied.push(format!("wait={}", waited.as_secs()));
        }
        (!applied.is_empty()).then(|| applied.join(", "))
    }
}

/// Splits where the separator is not in quotes.
pub(super) fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(value: &str) -> Prefer {
        let mut all = Prefer::default();
        all.add(value);
        all
    }

    fn wait(value: &str) -> Option<u64> {
        parse(value).wait.map(|wait| wait.as_secs())
    }

    #[test]
    fn known_preferences_are_found_among_others() {
        let all = parse("Respond-Async, handling=\"a, wait=9\"; x=1, WAIT = \"10\"; y, redirect");
        assert!(all.respond_async && all.redirect);
        assert_eq!(all.wait, Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_wait_that_is_no_number_is_ignored_and_the_first_one_counts() {
        for bad in ["wait", "wait=", "wait=-1", "wait=1.5", "wait=30s", "wait=99999999999", "wait=+5"] {
            assert_eq!(wait(bad), None, "{bad}");
        }
        assert_eq!(wait("wait=1, wait=2"), Some(1));
        assert_eq!(wait("wait=x, wait=2"), Some(2));
    }

    #[test]
    fn what_was_not_asked_for_is_not_said_to_be_applied() {
        assert_eq!(parse("").applied(true, None), None);
        let both = parse("respond-async, wait=90");
        assert_eq!(both.applied(true, Some(Duration::from_secs(50))).as_deref(), Some("respond-async, wait=50"));
        assert_eq!(both.applied(false, Some(Duration::from_secs(50))).as_deref(), Some("wait=50"));
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "[\t -~]{0,80}") {
            let _ = parse(&value);
        }

        #[test]
        fn any_wait_is_read_back(seconds: u32) {
            prop_assert_eq!(wait(&format!("a=b, wait={seconds};c")), Some(seconds.into()));
        }
    }
}
