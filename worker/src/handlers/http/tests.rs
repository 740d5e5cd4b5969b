//! A real server on loopback, as small as one can be.

use std::collections::BTreeMap;

use raincheck_shared::config::{self, Secret};
use raincheck_shared::domain::{Failure, FailureCode, Timestamp};
use raincheck_shared::lifecycle::{Shutdown, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

mod input_cut;
mod over_tls;

use super::answer::{MAX_RETRY_AFTER, retry_after};
use super::*;
use crate::handlers::trial::attempt;

/// Answers every request with the same bytes.
struct Upstream {
    url: String,
    requests: mpsc::UnboundedReceiver<Request>,
    shutdown: Shutdown,
}

struct Request {
    head: String,
    body: Vec<u8>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

impl Upstream {
    /// Sends `answer`, then closes, or (`hold`) says no more.
    async fn answering(answer: impl Into<Vec<u8>>, hold: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/work?x=1", listener.local_addr().unwrap());
        let (seen, requests) = mpsc::unbounded_channel();
        let shutdown = Shutdown::new();
        let answer = answer.into();
        shutdown.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = seen.send(read(&mut stream).await);
                // A client that has read enough closes early.
                let _ = stream.write_all(&answer).await;
                if hold {
                    // Until the client gives up: that it does is what some tests wait for.
                    let _ = stream.read(&mut [0; 1]).await;
                    let _ = seen.send(Request { head: "gone".to_owned(), body: Vec::new() });
                }
            }
        });
        Self { url, requests, shutdown }
    }

    /// Answers with a status line's end, header lines and a body.
    async fn with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        Self::answering([head.as_bytes(), body].concat(), false).await
    }

    fn handler(&self) -> Http {
        Http::new(&upstream(&self.url, BTreeMap::new()), SystemClock::shared()).unwrap()
    }

    async fn ask(&self) -> Outcome {
        let (context, _, _) = attempt();
        self.handler().run(input("x"), context).await
    }
}

async fn read(stream: &mut (impl AsyncReadExt + Unpin)) -> Request {
    let mut bytes = Vec::new();
    let head_end = loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the client went away within its headers");
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>().unwrap();
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0, "the client went away within its body");
    }
    Request { head, body }
}

fn upstream(url: &str, headers: BTreeMap<String, Secret>) -> config::Upstream {
    config::Upstream { url: url.to_owned(), headers, ..config::Upstream::default() }
}

fn input(text: &'static str) -> Payload {
    Payload { content_type: "text/plain; charset=utf-8".to_owned(), bytes: text.into() }
}

#[track_caller]
fn failed(outcome: Outcome) -> HandlerError {
    let Outcome::Fail(error) = outcome else { panic!("not a failure for good: {outcome:?}") };
    error
}

#[track_caller]
fn to_retry(outcome: Outcome) -> (HandlerError, Option<Duration>) {
    let Outcome::Retry { error, after } = outcome else { panic!("not to be retried: {outcome:?}") };
    (error, after)
}

#[tokio::test]
async fn the_upstream_gets_the_input_and_the_keys_and_its_answer_is_the_output() {
    let mut upstream = Upstream::with("200 OK", "content-type: image/x; a=b\r\n", [0, 1, 255]).await;
    let headers = BTreeMap::from([
        ("X-Token".to_owned(), Secret::new("s3cret")),
        ("content-type".to_owned(), Secret::new("of/the-input-instead")),
    ]);
    let handler = Http::new(&self::upstream(&upstream.url, headers), SystemClock::shared()).unwrap();
    let (mut context, _, _) = attempt();
    context.attempt = 2;
    context.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    let id = context.job_id();
    let outcome = handler.run(input("question"), context).await;
    let expected = Payload { content_type: "image/x; a=b".to_owned(), bytes: vec![0, 1, 255].into() };
    assert_eq!(outcome, Outcome::Complete(expected));

    let request = upstream.requests.recv().await.unwrap();
    assert_eq!(request.body, b"question");
    assert!(request.head.starts_with("POST /work?x=1 HTTP/1.1\r\n"), "{}", request.head);
    for line in [
        "content-type: text/plain; charset=utf-8".to_owned(),
        "x-token: s3cret".to_owned(),
        format!("idempotency-key: {id}"),
        format!("raincheck-job-id: {id}"),
        "raincheck-attempt: 2".to_owned(),
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    ] {
        assert_eq!(request.head.lines().filter(|l| **l == line).count(), 1, "{line}\n{}", request.head);
    }
    assert_eq!(request.head.matches("content-type").count(), 1);
}

#[tokio::test]
async fn an_answer_without_a_body_or_a_type_is_no_bytes() {
    let nothing = Payload { content_type: "application/octet-stream".to_owned(), bytes: Vec::new().into() };
    let upstream = Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n", false).await;
    assert_eq!(upstream.ask().await, Outcome::Complete(nothing.clone()));
    let upstream = Upstream::with("201 Created", "", "").await;
    assert_eq!(upstream.ask().await, Outcome::Complete(nothing));
}

#[tokio::test]
async fn statuses_that_pass_are_retried() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        let upstream = Upstream::with(&format!("{status} Hm"), "", "the reason").await;
        let (error, after) = to_retry(upstream.ask().await);
        assert_eq!(error.message, format!("upstream answered {status}"));
        assert_eq!(error.code, FailureCode::UpstreamStatus);
        assert_eq!(error.detail, b"the reason");
        assert_eq!(after, None);
    }
}

#[tokio::test]
async fn other_statuses_fail_for_good() {
    for status in [304, 400, 401, 404, 409, 410, 413, 422] {
        let upstream = Upstream::with(&format!("{status} No"), "", "").await;
        let error = failed(upstream.ask().await);
        assert!(error.message.starts_with(&format!("upstream answered {status}")), "{}", error.message);
        assert_eq!(error.code, FailureCode::UpstreamStatus);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut upstream = Upstream::with("307 Elsewhere", "location: /elsewhere\r\n", "").await;
    assert_eq!(failed(upstream.ask().await).message, "upstream answered 307 (redirects are not followed)");
    assert!(upstream.requests.recv().await.is_some());
    assert!(upstream.requests.try_recv().is_err(), "a second request was made");
}

#[tokio::test]
async fn an_upstream_that_says_when_to_come_back_is_heeded() {
    let upstream = Upstream::with("503 Busy", "retry-after: 7\r\n", "").await;
    assert_eq!(to_retry(upstream.ask().await).1, Some(Duration::from_secs(7)));
}

#[test]
fn retry_after_is_seconds_or_a_date_and_never_more_than_an_hour() {
    let now = Timestamp::from_unix_timestamp(784_111_770).unwrap();
    let after = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap(), now);
    assert_eq!(after("120"), Some(Duration::from_mins(2)));
    assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
    assert_eq!(after("Sun, 06 Nov 2094 08:49:37 GMT"), Some(MAX_RETRY_AFTER));
    assert_eq!(after("999999999"), Some(MAX_RETRY_AFTER));
    for nothing in ["0", "Sun, 06 Nov 1994 08:49:30 GMT", "Sat, 05 Nov 1994 08:49:37 GMT", "soon", "", "-1", "1.5"] {
        assert_eq!(after(nothing), None, "{nothing}");
    }
}

#[tokio::test]
async fn the_first_bytes_of_a_long_error_are_kept() {
    let upstream = Upstream::with("500 No", "", [b"the reason".to_vec(), vec![b'x'; 1 << 20]].concat()).await;
    let (error, _) = to_retry(upstream.ask().await);
    assert_eq!(error.detail.len(), Failure::DETAIL_LIMIT);
    assert!(error.detail.starts_with(b"the reasonxxx"));
}

#[tokio::test]
async fn an_error_that_is_never_told_to_its_end_is_kept_as_far_as_it_came() {
    let head = "HTTP/1.1 500 No\r\ncontent-length: 100\r\nretry-after: 3\r\n\r\nthe rea";
    let upstream = Upstream::answering(head, true).await;
    let (error, after) = to_retry(upstream.ask().await);
    assert_eq!((&*error.detail, after), (&b"the rea"[..], Some(Duration::from_secs(3))));
}

#[tokio::test]
async fn too_large_an_answer_is_cut_while_it_is_read() {
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n".to_owned();
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n400\r\n{}\r\n", "x".repeat(1024));
    for answer in [announced, endless] {
        let upstream = Upstream::answering(answer, true).await;
        let (mut context, _, _) = attempt();
        context.max_output = 1000;
        let error = failed(upstream.handler().run(input("x"), context).await);
        assert_eq!(error.code, FailureCode::OutputTooLarge);
    }
    let upstream = Upstream::with("200 OK", "", [b'x'; 1000]).await;
    let (mut context, _, _) = attempt();
    context.max_output = 1000;
    assert!(matches!(upstream.handler().run(input("x"), context).await, Outcome::Complete(_)));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_retried() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", false).await;
    let (error, _) = to_retry(upstream.ask().await);
    assert!(error.message.starts_with("upstream broke off: "), "{}", error.message);
    assert_eq!(error.code, FailureCode::HandlerError);
    let upstream = Upstream::answering("", false).await;
    assert!(to_retry(upstream.ask().await).0.message.starts_with("upstream broke off: "));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_retried_without_showing_its_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://user:pa55@{address}/secret");
    let handler = Http::new(&upstream(&url, BTreeMap::new()), SystemClock::shared()).unwrap();
    let (context, _, _) = attempt();
    let (error, _) = to_retry(handler.run(input("x"), context).await);
    assert!(error.message.starts_with("upstream could not be reached: "), "{}", error.message);
    assert!(!error.message.contains("pa55") && !error.message.contains("secret"), "{}", error.message);
}

#[tokio::test]
async fn a_slow_answer_is_cut_by_the_timeout() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"] {
        let mut upstream = Upstream::answering(answer, true).await;
        let (mut context, _, _) = attempt();
        context.timeout = Duration::from_millis(500);
        let (error, _) = to_retry(upstream.handler().run(input("x"), context).await);
        assert_eq!((error.code, &*error.message), (FailureCode::RunTimeout, "upstream did not answer in time"));
        upstream.requests.recv().await.unwrap();
        assert_eq!(upstream.requests.recv().await.unwrap().head, "gone");
    }
}

#[tokio::test]
async fn a_cancel_drops_the_request() {
    let mut upstream = Upstream::answering("", true).await;
    let (context, _, canceled) = attempt();
    let handler = upstream.handler();
    let stopping = async {
        upstream.requests.recv().await.unwrap();
        canceled.cancel();
        upstream.requests.recv().await.unwrap().head
    };
    let (outcome, seen) = tokio::join!(handler.run(input("x"), context), stopping);
    assert_eq!(outcome, Outcome::stopped());
    assert_eq!(seen, "gone");
}

#[test]
fn a_bad_upstream_is_refused_at_once_and_its_secrets_stay_hidden() {
    let new = |url: &str, name: &str, value: &str| {
        let headers = BTreeMap::from([(name.to_owned(), Secret::new(value))]);
        Http::new(&upstream(url, headers), SystemClock::shared()).err().map(|error| error.to_string())
    };
    for url in ["", "upstream", "ftp://host/", "http://"] {
        assert_eq!(
            new(url, "a", "b").as_deref(),
            Some("its URL must start with http:// or https:// and name a host"),
            "{url}"
        );
    }
    assert_eq!(new("http://host", "a b", "c").as_deref(), Some("\"a b\" is not the name of a header"));
    let error = new("http://host", "authorization", "pa55\n").unwrap();
    assert!(error.contains("authorization") && !error.contains("pa55"), "{error}");
}
