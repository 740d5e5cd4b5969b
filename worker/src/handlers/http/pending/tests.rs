//! A real server on loopback that answers by script, in time that passes when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use raincheck_shared::config::{Secret, Upstream};
use raincheck_shared::domain::Failure;
use raincheck_shared::lifecycle::{Shutdown, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::testing::{JobTrial, State};

/// Answers one request after the other, each with a connection of its own, and keeps their heads. What is past the script is
/// answered as its last line is.
struct Scripted {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
    shutdown: Shutdown,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

impl Scripted {
    /// `answers`: status, header lines, body. An empty status closes without a word.
    async fn start(answers: &[(&str, &str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://me:pa55@{}/work", listener.local_addr().unwrap());
        let answers: Vec<String> = answers
            .iter()
            .map(|(status, headers, body)| {
                let length = body.len();
                match *status {
                    "" => String::new(),
                    status => format!(
                        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                    ),
                }
            })
            .collect();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, shutdown) = (Arc::clone(&heads), Shutdown::new());
        shutdown.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
                    if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                        break;
                    }
                }
                let count = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(String::from_utf8_lossy(&bytes).into_owned());
                    kept.len()
                };
                let _ = stream.write_all(answers[(count - 1).min(answers.len() - 1)].as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { url, heads, shutdown }
    }

    fn methods(&self) -> Vec<String> {
        self.lines().iter().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
    }

    async fn job(&self) -> JobTrial {
        let headers = BTreeMap::from([("x-token".to_owned(), Secret::new("s3cret"))]);
        let upstream = Upstream { url: self.url.clone(), headers, ..Upstream::default() };
        let handler = Http::new(&upstream, SystemClock::shared()).unwrap();
        JobTrial::of(handler).json(&"order").traceparent("00-1-2-03").max_attempts(1).start().await
    }

    /// Runs a job to its end. What it made and how long that took, or how it failed.
    async fn ended(&self) -> Result<(String, Duration), Failure> {
        let mut job = self.job().await;
        match job.run().await {
            State::Succeeded(output) => Ok((String::from_utf8(output.bytes.to_vec()).unwrap(), job.clock().passed())),
            State::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    fn lines(&self) -> Vec<String> {
        // A call that is dropped may leave a connection on which nothing was said.
        self.heads.lock().unwrap().iter().filter_map(|head| Some(head.lines().next()?.to_owned())).collect()
    }
}

const ACCEPTED: (&str, &str, &str) = ("202 Accepted", "location: /orders/7\r\nretry-after: 5\r\n", "");

#[tokio::test]
async fn an_upstream_that_accepts_is_asked_at_its_location_in_its_own_pauses_until_it_is_done() {
    let upstream = Scripted::start(&[
        ACCEPTED,
        ("202 Accepted", "retry-after: 60\r\n", r#"{"progress": {"percent": 30, "message": "frying"}}"#),
        ("200 OK", "retry-after: 10\r\n", "still"),
        ("202 Accepted", "location: moved\r\nretry-after: 1\r\n", ""),
        ("200 OK", "content-type: text/plain\r\n", "ramen"),
    ])
    .await;
    assert_eq!(upstream.ended().await.unwrap(), ("ramen".to_owned(), Duration::from_secs(76)));
    let asked = ["POST /work", "GET /orders/7", "GET /orders/7", "GET /orders/7", "GET /orders/moved"];
    assert_eq!(upstream.lines(), asked.map(|line| format!("{line} HTTP/1.1")));
    for head in upstream.heads.lock().unwrap().iter() {
        for line in ["x-token: s3cret", "traceparent: 00-1-2-03", "authorization: Basic bWU6cGE1NQ=="] {
            assert_eq!(head.lines().filter(|l| *l == line).count(), 1, "{line}\n{head}");
        }
        assert!(head.contains("idempotency-key: ") && head.contains("raincheck-fence: 2\r\n"), "{head}");
    }
}

#[tokio::test]
async fn what_it_says_of_its_progress_is_the_jobs() {
    let upstream = Scripted::start(&[
        ACCEPTED,
        (
            "200 OK",
            "content-type: application/json\r\n",
            r#"{"done": false, "progress": {"percent": 30, "message": "frying"}}"#,
        ),
    ])
    .await;
    let mut job = upstream.job().await;
    while upstream.lines().len() < 3 {
        job.pass(Duration::from_secs(1)).await;
        // The answers come from a real socket.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let progress = job.progress().unwrap();
    assert_eq!((progress.percent, progress.message.as_deref()), (30.0, Some("frying")));
}

#[tokio::test]
async fn without_a_pause_of_its_own_it_is_asked_less_and_less_often() {
    let upstream = Scripted::start(&[
        ("202 Accepted", "location: /orders/7\r\n", ""),
        ("202 Accepted", "", ""),
        ("202 Accepted", "", ""),
        ("204 No Content", "", ""),
    ])
    .await;
    assert_eq!(upstream.ended().await.unwrap(), (String::new(), Duration::from_millis(4_750)));
}

#[tokio::test]
async fn a_result_elsewhere_is_fetched_there_and_taken_as_it_is() {
    let result = ("200 OK", "content-type: application/json\r\nretry-after: 9\r\n", r#"{"done": false}"#);
    let upstream = Scripted::start(&[ACCEPTED, ("303 See Other", "location: /results/7\r\n", ""), result]).await;
    assert_eq!(upstream.ended().await.unwrap(), (r#"{"done": false}"#.to_owned(), Duration::from_secs(5)));
    assert_eq!(upstream.lines()[2], "GET /results/7 HTTP/1.1");
    let upstream = Scripted::start(&[("303 See Other", "location: /results/7\r\n", ""), result]).await;
    assert_eq!(upstream.ended().await.unwrap().1, Duration::ZERO, "it knew the result at once");
}

#[tokio::test]
async fn an_outage_while_it_works_is_waited_out() {
    let busy = ("503 Busy", "retry-after: 20\r\n", "");
    let upstream = Scripted::start(&[ACCEPTED, busy, ("", "", ""), ("500 No", "", ""), ("200 OK", "", "ramen")]).await;
    let (made, took) = upstream.ended().await.unwrap();
    assert_eq!((made.as_str(), took > Duration::from_secs(25)), ("ramen", true), "{took:?}");
}

#[tokio::test]
async fn what_failed_there_fails_and_says_why() {
    for (answer, message, retryable) in [
        (("422 No", "", "burnt"), "upstream answered 422", false),
        (("404 Gone", "", "burnt"), "upstream answered 404", true),
        (("410 Gone", "", "burnt"), "upstream answered 410", true),
        (
            ("200 OK", "content-type: application/json\r\n", r#"{"done": true, "error": "burnt"}"#),
            "upstream accepted it, and later it was \"failed\" there",
            false,
        ),
        (
            (
                "200 OK",
                "content-type: application/json\r\n",
                r#"{"done": true, "status": "Canceled", "error": "burnt"}"#,
            ),
            "upstream accepted it, and later it was \"Canceled\" there",
            false,
        ),
    ] {
        let failure = Scripted::start(&[ACCEPTED, answer]).await.ended().await.unwrap_err();
        assert_eq!((failure.message.as_str(), failure.retryable), (message, retryable));
        assert_eq!(failure.code, FailureCode::UpstreamStatus);
        assert!(failure.detail.unwrap().contains("burnt"));
    }
}

#[tokio::test]
async fn one_odd_field_hides_no_other() {
    let long = format!(r#"{{"echo": "{}", "done": false}}"#, "x".repeat(70_000));
    let json = "content-type: application/json\r\n";
    for body in [
        r#"{"done": false, "progress": 40}"#,
        r#"{"done": false, "progress": {"percent": "40 %"}}"#,
        r#"{"done": false, "progress": {"message": "waiting"}}"#,
        r#"{"done": false, "progress": {"percent": 40, "message": 7}}"#,
        r#"{"done": false, "status": 3}"#,
        r#"{"done": false, "status": {"phase": "cooking"}}"#,
        &long,
    ] {
        let upstream = Scripted::start(&[ACCEPTED, ("200 OK", json, body), ("200 OK", "", "ramen")]).await;
        assert_eq!(upstream.ended().await.unwrap().0, "ramen", "{body:.100}");
    }
    for body in [
        r#"{"done": true, "progress": 100, "status": "failed", "error": "burnt"}"#,
        r#"{"done": true, "status": 3, "error": {"code": "burnt"}}"#,
    ] {
        let failure = Scripted::start(&[ACCEPTED, ("200 OK", json, body)]).await.ended().await.unwrap_err();
        assert!(failure.detail.unwrap().contains("burnt"), "{body}");
    }
}

#[tokio::test]
async fn json_that_says_it_is_done_without_an_error_is_the_output() {
    for body in [r#"{"done": true, "error": null, "response": 7}"#, r#"{"status": "failed"}"#, "[1]", "no JSON"] {
        let upstream = Scripted::start(&[ACCEPTED, ("200 OK", "content-type: application/json\r\n", body)]).await;
        assert_eq!(upstream.ended().await.unwrap().0, body);
    }
}

#[tokio::test]
async fn nobody_else_is_asked_and_sent_the_headers() {
    for place in ["http://127.0.0.1:1/x", "https://elsewhere.example/x", "//elsewhere.example/x", "ftp://x/y"] {
        let headers = format!("location: {place}\r\n");
        for answers in [
            &[("202 Accepted", headers.as_str(), "")] as &[_],
            &[ACCEPTED, ("202 Accepted", headers.as_str(), "")],
            &[ACCEPTED, ("303 See Other", headers.as_str(), "")],
        ] {
            let upstream = Scripted::start(answers).await;
            let failure = upstream.ended().await.unwrap_err();
            assert!(failure.message.ends_with("which is not where the upstream is"), "{}", failure.message);
            assert_eq!(upstream.lines().len(), answers.len());
        }
    }
}

#[tokio::test]
async fn a_202_that_names_no_location_is_an_answer_like_any_other() {
    let upstream = Scripted::start(&[("202 Accepted", "", "thanks")]).await;
    assert_eq!(upstream.ended().await.unwrap().0, "thanks");
}

#[tokio::test]
async fn the_wait_ends_with_the_attempts_time() {
    let upstream = Scripted::start(&[ACCEPTED, ("202 Accepted", "retry-after: 400\r\n", "")]).await;
    let mut job = upstream.job().await;
    while upstream.lines().len() < 2 {
        job.pass(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.pass(Duration::from_secs(700)).await;
    let State::Failed(failure) = job.state() else { panic!("{:?}", job.state()) };
    assert_eq!(failure.code, FailureCode::RunTimeout);
}

/// How a job is left to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Cancel,
    TimeOut,
}

/// Waits for what comes over a socket, which no clock knows of.
async fn until(job: &mut JobTrial, seen: impl Fn(&JobTrial) -> bool) {
    while !seen(job) {
        job.pass(Duration::ZERO).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What an upstream heard, and the job's log, of a job that the upstream accepted and never was done with.
async fn left(how: Leave, delete_on_cancel: bool) -> (Vec<String>, Vec<String>) {
    let accepted = ("202 Accepted", "location: /orders/7\r\nretry-after: 5\r\n", r#"{"progress": {"percent": 10}}"#);
    let upstream = Scripted::start(&[accepted, ("202 Accepted", "retry-after: 5\r\n", "")]).await;
    let config = Upstream { url: upstream.url.clone(), delete_on_cancel, ..Upstream::default() };
    let handler = Http::new(&config, SystemClock::shared()).unwrap();
    let mut job = JobTrial::of(handler).json(&"order").timeout(Duration::from_secs(8)).max_attempts(1).start().await;
    until(&mut job, |job| job.progress().is_some()).await;
    if how == Leave::Cancel {
        job.cancel().await;
    }
    job.run().await;
    (upstream.lines(), job.log())
}

#[tokio::test]
async fn an_upstream_that_is_to_know_is_told_of_a_cancel_and_of_a_timeout() {
    for how in [Leave::Cancel, Leave::TimeOut] {
        let (lines, log) = left(how, true).await;
        assert_eq!(lines.last().map(String::as_str), Some("DELETE /orders/7 HTTP/1.1"), "{how:?}: {lines:?}");
        assert_eq!(log, ["told the upstream that nobody waits any more: 202"]);
        let (lines, log) = left(how, false).await;
        let deleted = lines.iter().any(|line| line.starts_with("DELETE"));
        assert!(!deleted && log.is_empty(), "{how:?}: {lines:?} {log:?}");
    }
}

#[tokio::test]
async fn an_upstream_is_not_told_of_a_timeout_after_which_another_attempt_goes_on() {
    let accepted = ("202 Accepted", "location: /orders/7\r\nretry-after: 20\r\n", r#"{"progress": {"percent": 10}}"#);
    let upstream = Scripted::start(&[accepted]).await;
    let config = Upstream { url: upstream.url.clone(), delete_on_cancel: true, ..Upstream::default() };
    let handler = Http::new(&config, SystemClock::shared()).unwrap();
    let timeout = Duration::from_secs(8);
    let mut job = JobTrial::of(handler).json(&"order").timeout(timeout).max_attempts(2).start().await;
    until(&mut job, |job| job.progress().is_some()).await;
    job.pass(timeout).await;
    until(&mut job, |job| matches!(job.state(), State::Waiting { .. })).await;
    assert_eq!(upstream.methods(), ["POST"], "the next attempt asks at the same place");

    let State::Waiting { pause, .. } = job.state() else { unreachable!("it was seen to wait") };
    job.pass(pause).await;
    until(&mut job, |job| job.progress().is_some()).await;
    job.pass(timeout).await;
    job.run().await;
    assert_eq!(upstream.methods(), ["POST", "POST", "DELETE"]);
}
