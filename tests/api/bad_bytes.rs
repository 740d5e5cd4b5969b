//! Bytes that are no HTTP, and clients that stop in the middle.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::served::Served;

/// Demands a whole problem, and nothing after it.
#[track_caller]
fn assert_problem(said: &str, status: u16, code: &str) {
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((said, ""));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{said:?}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\ncontent-type: application/problem+json"), "{said:?}");
    assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{said:?}");
    assert!(head.contains("\r\nx-request-id: "), "{said:?}");
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
