//! What must hold for whatever an upstream answers, as a function that panics when it does not.

#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "to panic is what a law is for")]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use raincheck_shared::config::{StatusRules, Upstream, Verdict};
use raincheck_shared::domain::{Payload, Timestamp};
use raincheck_shared::lifecycle::SystemClock;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::Http;
use super::answer::{MAX_RETRY_AFTER, retry_after};
use super::pending::{Location, Look, understood};
use crate::executor::sendable;
use crate::handlers::laws::{attempt, fair_report};
use crate::{HandlerError, Outcome};

/// What may be shown to nobody.
const PASSWORD: &str = "xYzZy7";

static UPSTREAM: LazyLock<Http> = LazyLock::new(|| {
    let upstream = Upstream {
        url: format!("https://us:{PASSWORD}@upstream.example/base/kitchen?a=b"),
        headers: BTreeMap::new(),
        ca_file: None,
        statuses: StatusRules::default(),
        completions: None,
        delete_on_cancel: false,
    };
    Http::new(&upstream, SystemClock::shared()).expect("a good upstream")
});

/// An answer: its status in two bytes, then lines with its `Retry-After`, two `Location`s one after the other and its
/// `Content-Type`, then its body. Waits are within their bounds; whatever it points to is the upstream itself, and what is said of
/// another place does not hold its password; a status means one thing; a body is the output as it is, or says how far it is.
pub fn upstream(bytes: &[u8]) {
    let Some((status, rest)) = bytes.split_first_chunk() else { return };
    let mut parts = rest.splitn(5, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    wait(part());
    let led = places(&UPSTREAM.url, part());
    places(&led.unwrap_or_else(|| UPSTREAM.url.clone()), part());
    let status = u16::from_be_bytes(*status);
    let complete = StatusRules::default().verdict(status) == Verdict::Complete;
    assert_eq!(complete, (200..=299).contains(&status));
    let content_type = part();
    body(content_type, part());
}

fn wait(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let Some(wait) = retry_after(&value, Timestamp::UNIX_EPOCH) else { return };
    assert!(!wait.is_zero() && wait <= MAX_RETRY_AFTER);
    let seconds = Duration::from_secs(wait.as_secs());
    let again = retry_after(&HeaderValue::from(wait.as_secs()), Timestamp::UNIX_EPOCH);
    assert_eq!(again, Some(seconds).filter(|seconds| !seconds.is_zero()));
}

/// Where it leads, if that is where the upstream is.
fn places(asked: &Url, value: &[u8]) -> Option<Url> {
    let value = HeaderValue::from_bytes(value).ok()?;
    let text = value.to_str().ok()?;
    match UPSTREAM.place(asked, text) {
        Location::At(url) => {
            assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some("upstream.example"), None));
            assert!(!url.username().is_empty() || url.password().is_some());
            match UPSTREAM.place(asked, url.as_str()) {
                Location::At(again) => assert_eq!(again, url),
                Location::Elsewhere(place) => panic!("{url} is at {place}"),
            }
            Some(url)
        }
        Location::Elsewhere(place) => {
            assert!(!place.contains(PASSWORD) || text.contains(PASSWORD), "{place}");
            None
        }
    }
}

fn body(content_type: &[u8], bytes: &[u8]) {
    let content_type = String::from_utf8_lossy(content_type).into_owned();
    let sent = sendable(content_type.clone());
    assert!(HeaderValue::from_str(&sent).is_ok() && (1..=255).contains(&sent.len()));
    assert_eq!(sendable(sent.clone()), sent);
    let (context, reported) = attempt();
    let output = Outcome::Complete(Payload { content_type, bytes: bytes.to_vec().into() });
    match understood(output.clone(), &context) {
        Look::Over(Outcome::Fail(HandlerError { message, .. })) => {
            assert!(message.chars().count() <= 1_000 && !message.is_empty(), "{message}");
        }
        Look::Over(outcome) => assert_eq!(outcome, output, "what an upstream made is kept byte for byte"),
        Look::Again(pause) => assert_eq!(pause, None, "an answer without a Retry-After has no pause"),
        Look::There(url) => panic!("a body leads nowhere: {url}"),
    }
    fair_report(&reported);
}
