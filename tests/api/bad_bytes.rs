//! Bytes that are no HTTP, and clients that stop in the middle.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::harness::served::Served;

/// Demands a whole problem, and nothing after it.
#[track_caller]
fn assert_problem(said: &str, status: u16, code: &str) {
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((said, ""));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{said:?}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\ncontent-type: application/problem+json"), "{said:?}");
    assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{said:?}");
    assert!(head.contains("\r\nx-request-id: ") && head.contains("\r\nvary: authorization, accept"), "{said:?}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{said:?}");
}

#[tokio::test]
async fn what_is_no_http_is_answered_400_and_closed() {
    let served = Served::idle().await;
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        let said = served.raw(bytes).await;
        assert_problem(&said, 400, "malformed-request");
        for cause in ["HTTP/1.1", "one Host", "Content-Length", "ASCII", "128 KiB", "96 headers"] {
            assert!(said.contains(cause), "{cause}: {said}");
        }
    }
    assert!(served.client.is_ready().await);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_head_that_is_too_large_or_too_slow_is_a_problem() {
    let served = Served::idle().await;
    let large = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}", "y".repeat(200_000));
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhos").await.unwrap();
    let said = served.raw(large.as_bytes()).await;
    assert_problem(&said, 400, "malformed-request");
    let mut said = String::new();
    slow.read_to_string(&mut said).await.unwrap();
    assert_problem(&said, 408, "request-timeout");
    assert!(served.stop().await);
}

/// Demands so many good answers, of which the first ends like this, and a problem behind them.
#[track_caller]
fn assert_problem_behind(said: &str, good: usize, end: &str, status: u16, code: &str) {
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), good, "{said:?}");
    let (_, behind) = said.rsplit_once("HTTP/1.1 ").unwrap();
    let before = &said[..said.len() - behind.len()];
    assert!(before.contains(end), "{said:?}");
    assert_problem(&format!("HTTP/1.1 {behind}"), status, code);
}

#[tokio::test]
async fn what_is_no_http_is_a_problem_behind_any_request() {
    let served = Served::idle().await;
    let good = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let bad = "GET /v1/jobs HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n";
    let large = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let asked =
        "POST /v1/kinds/echo/jobs HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n1";
    for (before, count) in [(good, 1), (&*good.repeat(3), 3), (large, 1), (&*format!("{asked}{good}"), 1)] {
        let together = served.raw(format!("{before}{bad}").as_bytes()).await;
        assert_problem_behind(&together, count, "\r\n\r\n", 400, "malformed-request");
        let mut socket = TcpStream::connect(served.address).await.unwrap();
        socket.write_all(before.as_bytes()).await.unwrap();
        let mut said = vec![0; 15];
        socket.read_exact(&mut said).await.unwrap();
        socket.write_all(bad.as_bytes()).await.unwrap();
        socket.read_to_end(&mut said).await.unwrap();
        assert_problem_behind(&String::from_utf8(said).unwrap(), count, "\r\n\r\n", 400, "malformed-request");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_result_that_looks_like_an_answer_is_told_as_it_is() {
    let served = Served::working().await;
    let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let job =
        served.client.send(reqwest::Method::POST, "/v1/kinds/echo/jobs", &[("content-type", "text/plain")], bare).await;
    let id = job.json()["id"].as_str().unwrap().to_owned();
    let done = super::get(&served.client, &format!("/v1/jobs/{id}?wait=10s"), &[]).await.json();
    assert_eq!(done["status"], "succeeded");
    let get = format!("GET /v1/jobs/{id}/result HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let bad = "GET /v1/jobs HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n";
    let said = served.raw(format!("{get}{get}{bad}").as_bytes()).await;
    assert_eq!(said.matches(bare).count(), 2, "{said:?}");
    assert_problem_behind(&said, 2, bare, 400, "malformed-request");
    assert!(served.stop().await);
}

/// How long a connection lives, and what it says, on which this is sent and then, now and then, one header more.
async fn dripped(on: &Served, first: Vec<&str>) -> (Duration, String) {
    let (mut from, mut to) = TcpStream::connect(on.address).await.unwrap().into_split();
    let began = Instant::now();
    let sending = async {
        for part in first {
            to.write_all(part.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut drip = tokio::time::interval(Duration::from_secs(3));
        loop {
            drip.tick().await;
            if to.write_all(b"x: y\r\n").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut said = Vec::new();
    let reading = timeout(Duration::from_secs(30), from.read_to_end(&mut said));
    tokio::select! {
        () = sending => unreachable!(),
        read = reading => { let _ = read.expect("the connection is held"); }
    }
    (began.elapsed(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_head_that_is_too_slow_is_a_problem_on_a_connection_that_was_used() {
    let served = Served::idle().await;
    let good = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let begun = "GET /livez HTTP/1.1\r\n";
    let posted = "POST /nope HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\nab";
    let together = format!("{good}{begun}");
    let behind_a_body = format!("{posted}{good}{begun}");
    let silent = async {
        let mut socket = TcpStream::connect(served.address).await.unwrap();
        socket.write_all(together.as_bytes()).await.unwrap();
        let mut said = String::new();
        timeout(Duration::from_secs(30), socket.read_to_string(&mut said))
            .await
            .expect("the connection is held")
            .unwrap();
        said
    };
    // Between its requests a client may be silent for longer than that.
    let idle = async {
        let mut socket = TcpStream::connect(served.address).await.unwrap();
        let mut answer = [0; 15];
        for _ in 0..2 {
            socket.write_all(good.as_bytes()).await.unwrap();
            socket.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            tokio::time::sleep(Duration::from_secs(12)).await;
            while socket.try_read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
        }
    };
    let (apart, same_packet, body, silent, ()) = tokio::join!(
        dripped(&served, vec![good, begun]),
        dripped(&served, vec![&together]),
        dripped(&served, vec![&behind_a_body]),
        silent,
        idle,
    );
    for (took, said) in [apart, same_packet, body] {
        assert!((9..20).contains(&took.as_secs()), "{took:?}");
        assert_problem_behind(&said, 1, "\r\n\r\n", 408, "request-timeout");
    }
    assert_problem_behind(&silent, 1, "\r\n\r\n", 408, "request-timeout");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_broken_chunk_is_a_problem() {
    let served = Served::idle().await;
    // The first request of all waits for the store to say that no key is needed, and this must not be the one.
    assert_eq!(super::get(&served.client, "/v1/kinds", &[]).await.status, 200);
    let head = "POST /v1/kinds/echo/jobs HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let said = served.raw(format!("{head}zz\r\nabc\r\n").as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    assert!(said.contains("\"malformed-request\""), "{said}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_its_body_leaves_nothing() {
    let served = Served::idle().await;
    let mut socket = TcpStream::connect(served.address).await.unwrap();
    socket
        .write_all(b"POST /v1/kinds/echo/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf")
        .await
        .unwrap();
    socket.shutdown().await.unwrap();
    let mut said = String::new();
    let _ = socket.read_to_string(&mut said).await;
    assert!(!said.contains(" 202 "), "{said}");
    let listed = super::get(&served.client, "/v1/jobs", &[]).await.json();
    assert_eq!(listed["jobs"], serde_json::json!([]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let served = Served::idle().await;
    let two = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\nGET /nope HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let said = served.raw(two.as_bytes()).await;
    let first = said.find("HTTP/1.1 200 OK").unwrap();
    let second = said.find("HTTP/1.1 404 Not Found").unwrap();
    assert!(first < second);
    assert!(served.stop().await);
}
