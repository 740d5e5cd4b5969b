//! `If-None-Match` (RFC 9110).

use actix_web::HttpRequest;
use actix_web::http::header::IF_NONE_MATCH;
use raincheck_shared::domain::Version;

/// The entity tags that a client has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IfNoneMatch {
    pub(crate) any: bool,
    pub(crate) tags: Vec<String>,
}

impl IfNoneMatch {
    /// As the request says it.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let mut all = Self::default();
        for value in request.headers().get_all(IF_NONE_MATCH) {
            all.add(value.to_str().unwrap_or_default());
        }
        all
    }

    /// Adds the tags of one header line.
    pub(crate) fn add(&mut self, value: &str) {
        let mut rest = value;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return;
            }
            if let Some(after) = rest.strip_prefix('*') {
                self.any = true;
                rest = after;
                continue;
            }
            // Compared weakly, as the RFC wants it here.
            let opaque = rest.strip_prefix("W/").unwrap_or(rest);
            let Some((tag, after)) = opaque.strip_prefix('"').and_then(|inside| inside.split_once('"')) else {
                // Not a tag: what follows cannot be told apart.
                return;
            };
            self.tags.push(tag.to_owned());
            rest = after;
        }
    }

    /// Whether the client has this one (without its quotes).
    pub(crate) fn matches(&self, tag: &str) -> bool {
        self.any || self.tags.iter().any(|t| t == tag)
    }

    /// The latest version of a job that the client has, when its tags are versions.
    pub(crate) fn version(&self) -> Option<Version> {
        self.tags.iter().filter_map(|tag| version_of(tag)).max()
    }
}

/// A version, or one and a count of what changed since without raising it.
pub(crate) fn version_of(tag: &str) -> Option<Version> {
    tag.split_once('.').map_or(tag, |(version, _)| version).parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(value: &str) -> IfNoneMatch {
        let mut all = IfNoneMatch::default();
        all.add(value);
        all
    }

    #[test]
    fn strong_and_weak_tags_are_the_same_and_a_star_matches_all() {
        let both = parse("\"6\", W/\"7\"");
        assert!(both.matches("6") && both.matches("7") && !both.matches("8"));
        assert_eq!(both.version(), Some(7));
        assert_eq!(parse("\"9.2\"").version(), Some(9));
        assert!(!parse("\"9.2\"").matches("9"));
        assert!(parse("*").matches("anything"));
        assert_eq!(parse("\"abc\"").version(), None);
        assert_eq!(parse("7").version(), None);
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "[ -~]{0,60}") {
            let _ = parse(&value).version();
        }
    }
}
