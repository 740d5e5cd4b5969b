//! What must hold for whatever a client sends, as functions that panic when it does not. The fuzzer calls them with
//! bytes that nobody would think of; `docs/fuzzing.md` lists them. Built with the feature `laws` only.

#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "to panic is what a law is for")]

mod bodies;
mod commands;
mod filters;
mod tokens;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use raincheck_shared::config::format_duration;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use super::every_request::is_request_id;
use super::extract::{Accept, IfNoneMatch, Prefer, Query, Range, RangeOutcome, encode};
use super::extract::{is_media_type, is_traceparent, read_job_id, read_last_event_id, version_of};
use super::problem::{Finding, Problem};
use super::wire::{ReadSubmission, read_cursor, read_options, read_submission, write_cursor};
use super::wire::{digest_field, read_digest_field};
use crate::engine::JobOptions;

pub use bodies::{batch, lease, schedule};
pub use commands::command;
pub use filters::filter;
pub use tokens::token;

/// What a header's value can be at all: the server below refuses the rest, and ours is ignored unless it is ASCII.
fn header(bytes: &[u8]) -> String {
    let possible = |b: u8| b == b'\t' || (0x20..0x7f).contains(&b);
    bytes.iter().map(|b| if possible(*b) { char::from(*b) } else { '?' }).collect()
}

/// `Prefer`: an unknown preference in front changes nothing, and what is said to be applied reads as what was granted.
pub fn prefer(bytes: &[u8]) {
    let read = |value: &str| {
        let mut all = Prefer::default();
        all.add(value);
        all
    };
    let value = header(bytes);
    let prefer = read(&value);
    assert_eq!(read(&format!("x=\"a, wait=1\"; y, {value}")), prefer);
    let applied = prefer.applied(true, prefer.wait).map(|applied| read(&applied)).unwrap_or_default();
    assert_eq!((applied.wait, applied.respond_async), (prefer.wait, prefer.respond_async));
}

/// `If-None-Match`: tags match themselves, and print as what was read.
pub fn if_none_match(bytes: &[u8]) {
    let read = |value: &str| {
        let mut all = IfNoneMatch::default();
        all.add(value);
        all
    };
    let tags = read(&header(bytes));
    assert!(tags.tags.iter().all(|tag| tags.matches(tag)));
    assert!(tags.version().is_none_or(|version| tags.tags.iter().any(|tag| version_of(tag) == Some(version))));
    let mut printed: Vec<String> = tags.tags.iter().map(|tag| format!("\"{tag}\"")).collect();
    printed.extend(tags.any.then(|| "*".to_owned()));
    assert_eq!(read(&printed.join(", ")), tags);
}

/// `Accept`: one more type that nobody has changes nothing, whatever it has in quotes; neither does a line that is repeated or
/// in capitals; and what is asked for by its name is as welcome as can be.
pub fn accept(bytes: &[u8]) {
    let read = |lines: &[&str]| {
        let mut all = Accept::default();
        for line in lines {
            all.add(line);
        }
        all
    };
    let value = header(bytes);
    let (once, twice, capitals) = (read(&[&value]), read(&[&value, &value]), read(&[&value.to_ascii_uppercase()]));
    let named = read(&[&value, "application/json, text/event-stream, text/html"]);
    let other = read(&["x/y", &value]);
    let quoting = read(&[r#"x/y;z="\", application/json, text/html, */*;q=0.7, ""#, &value]);
    for (major, minor) in [("application", "json"), ("text", "event-stream"), ("text", "html")] {
        let quality = once.quality(major, minor);
        assert!(quality <= 1000);
        assert_eq!(twice.quality(major, minor), quality);
        assert_eq!(capitals.quality(major, minor), quality);
        assert_eq!(named.quality(major, minor), 1000);
        assert_eq!(quoting.quality(major, minor), other.quality(major, minor));
    }
}

/// Headers of which one value is read: `Last-Event-ID`, `Content-Digest`, `X-Request-Id`. What is taken prints as what was read,
/// and can go out again.
pub fn header_value(bytes: &[u8]) {
    let value = header(bytes);
    if let Some(number) = read_last_event_id::<i32>(&value) {
        assert!(number >= 0);
        assert_eq!(read_last_event_id(&number.to_string()), Some(number));
    }
    let digest = read_digest_field(&value);
    if let Ok(Some(digest)) = digest {
        assert_eq!(read_digest_field(&digest_field(&digest)), Ok(Some(digest)));
    }
    assert_eq!(read_digest_field(&format!("md5=:AAAA:, {value}")), digest);
    if is_request_id(&value) {
        assert!(value.len() <= 128 && HeaderValue::from_str(&value).is_ok());
        assert!(!value.contains([' ', '"', '\\', ',', ';']), "it stands in logs and problems as it is");
    }
}

/// `Range`: prints as what was read, and never leaves what there is.
pub fn range(bytes: &[u8]) {
    let value = header(bytes);
    let Some(range) = Range::parse(&value) else { return };
    let printed = match range {
        Range::From(first, Some(last)) => format!("bytes={first}-{last}"),
        Range::From(first, None) => format!("bytes={first}-"),
        Range::Last(count) => format!("bytes=-{count}"),
    };
    assert_eq!(Range::parse(&printed), Some(range));
    for length in [0, 1, bytes.len() as u64, u64::MAX] {
        if let RangeOutcome::Part(span) = range.of_length(length) {
            assert!(span.start < span.end && span.end <= length);
        }
    }
}

/// A media type goes back out as a header, so it must be able to stand in one.
pub fn media_type(bytes: &[u8]) {
    let value = header(bytes);
    let value = value.trim();
    if is_media_type(value) {
        let essence = value.split(';').next().unwrap_or_default();
        assert!(HeaderValue::from_str(value).is_ok());
        assert!(is_media_type(&essence.to_ascii_uppercase()));
    }
}

/// `traceparent`: what is taken is of the one length and alphabet there is, and has a trace.
pub fn traceparent(bytes: &[u8]) {
    let value = header(bytes);
    if is_traceparent(&value) {
        assert_eq!(value.len(), 55);
        assert!(value.bytes().all(|b| b == b'-' || b.is_ascii_digit() || b.is_ascii_lowercase()));
        assert_eq!(value.split('-').nth(1).map(str::len), Some(32));
    }
}

/// A cursor has one form only.
pub fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(cursor) = read_cursor(&text) {
        assert_eq!(write_cursor(cursor), text);
    }
}

/// A job's id in a path prints as what was read, whatever the case of its letters.
pub fn job_id(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(id) = read_job_id(&text) {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
        assert_eq!(read_job_id(&id.to_string()), Some(id));
        // The calendar ends in the year 9999, the clock of a UUID later.
        assert!(id.created_at().format(&Rfc3339).is_ok());
    }
}

/// The query of a raw submit: what is refused says the parameter, and options print as what was read.
pub fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut query = match Query::parse(&text) {
        Ok(query) => query,
        Err(problem) => return refused(&problem),
    };
    let options = read_options(&mut query);
    let findings = query.finish();
    told(&findings);
    if findings.is_empty() {
        let printed = print_query(&options);
        let again = Query::parse(&printed).map(|mut query| (read_options(&mut query), query.finish()));
        assert_eq!(again.ok(), Some((options, Vec::new())), "{printed}");
    }
}

/// The body of a submit: what is refused says the field, the input is JSON as it stood there, and options print as what
/// was read.
pub fn submission(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let read = match read_submission(&body) {
        Ok(read) => read,
        Err(problem) => return refused(&problem),
    };
    told(&read.findings);
    let ReadSubmission { kind, input, options, findings } = read;
    if !findings.is_empty() {
        return;
    }
    assert!(kind.is_some());
    assert!(input.bytes.as_ref() == b"null" || body.as_ptr_range().contains(&input.bytes.as_ptr()));
    let mut printed = print_body(&options);
    printed.insert("kind".to_owned(), json!(kind));
    let again = read_submission(&Bytes::from(Value::Object(printed).to_string()));
    let again = again.map(|again| (again.kind, again.options, again.findings));
    assert_eq!(again.ok(), Some((kind, options, Vec::new())));
}

fn print_options(options: &JobOptions) -> Map<String, Value> {
    let instant = |at: Option<time::OffsetDateTime>| at.map(|at| at.format(&Rfc3339).expect("an instant that prints"));
    let mut printed = Map::new();
    printed.insert("queue".to_owned(), json!(options.queue));
    printed.insert("priority".to_owned(), json!(options.priority));
    printed.insert("run_at".to_owned(), json!(instant(options.run_at)));
    printed.insert("delay".to_owned(), json!(options.delay.map(format_duration)));
    printed.insert("deadline".to_owned(), json!(instant(options.deadline)));
    printed.insert("max_attempts".to_owned(), json!(options.max_attempts));
    printed.insert("concurrency_key".to_owned(), json!(options.concurrency_key));
    printed.insert("validate_only".to_owned(), json!(options.validate_only));
    printed
}

fn print_body(options: &JobOptions) -> Map<String, Value> {
    let mut printed = print_options(options);
    let duration = |duration: Option<std::time::Duration>| duration.map(format_duration);
    printed.insert("tags".to_owned(), json!(options.tags));
    printed.insert("metadata".to_owned(), json!(options.metadata));
    let timeouts = json!({"start": duration(options.start_timeout), "run": duration(options.run_timeout)});
    printed.insert("timeouts".to_owned(), timeouts);
    let retention = json!({"input": duration(options.input_retention), "result": duration(options.result_retention)});
    printed.insert("retention".to_owned(), retention);
    let webhook = options.webhook.as_ref().map(|webhook| json!({"url": webhook.url, "events": webhook.events}));
    printed.insert("webhook".to_owned(), json!(webhook));
    printed
}

fn print_query(options: &JobOptions) -> String {
    let mut printed = print_options(options);
    for (name, value) in [
        ("start_timeout", options.start_timeout),
        ("run_timeout", options.run_timeout),
        ("input_retention", options.input_retention),
        ("result_retention", options.result_retention),
    ] {
        printed.insert(name.to_owned(), json!(value.map(format_duration)));
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let known = printed.iter().filter(|(_, value)| !value.is_null());
    let mut pairs: Vec<String> = known.map(|(name, value)| format!("{name}={}", encode(&text(value)))).collect();
    pairs.extend(options.tags.iter().map(|tag| format!("tag={}", encode(tag))));
    if let Some(webhook) = &options.webhook {
        pairs.push(format!("webhook_url={}", encode(&webhook.url)));
        pairs.extend(webhook.events.iter().map(|event| format!("webhook_events={}", encode(event))));
    }
    pairs.join("&")
}

/// What cannot be read at all is the client's fault, and the answer says what it is.
fn refused(problem: &Problem) {
    let status = problem.respond("/", "id").status();
    assert!(matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY), "{status}");
    assert!(problem.to_string().split_once(": ").is_some_and(|(_, detail)| !detail.is_empty()));
}

/// Each finding points to something and says what is wrong with it, in text that can be shown.
fn told(findings: &[Finding]) {
    for Finding { pointer, detail } in findings {
        assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer:?}");
        assert!(!pointer.contains('\0') && !detail.contains('\0'));
        assert!(!detail.is_empty());
        assert!(pointer.len() <= 4 * 200, "a pointer of {} bytes", pointer.len());
    }
}
