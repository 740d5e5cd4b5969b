//! A result in pieces, from a server that is cut off, knows no ranges, or damages what it sends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops and says why")]

use std::time::Duration;

use raincheck_client::{Client, Error, ErrorKind, Pieces};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const BODY: &[u8] = b"0123456789abcdefghij";
/// Its SHA-256, in base64: `printf 0123456789abcdefghij | openssl dgst -sha256 -binary | base64`.
const DIGEST: &str = "a8FL3EUXp6aCxpEN4uKUbrjh7NBAkHKP720JKnzrYsU=";

/// Answers requests as scripted, one connection each, and gives what was asked for and what the client made of it.
async fn told(script: &[String]) -> (Result<Vec<u8>, Error>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::builder(format!("http://{}", listener.local_addr().unwrap()));
    let client = client.retry_budget(Duration::from_secs(5)).build().unwrap();
    let mut requests = Vec::new();
    let serve = async {
        for answer in script {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            requests.push(String::from_utf8(head).unwrap());
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let came = tokio::select! {
        came = all(client.job("j").download()) => came,
        () = serve => unreachable!("it serves for ever"),
    };
    (came, requests)
}

async fn all(mut pieces: Pieces) -> Result<Vec<u8>, Error> {
    let mut came = Vec::new();
    while let Some(piece) = pieces.next().await {
        came.extend_from_slice(&piece?);
    }
    assert_eq!(pieces.content_type(), Some("text/plain"));
    Ok(came)
}

/// The head says that all from `from` on comes; only as far as `to` does.
fn answer(status: &str, from: usize, to: usize) -> String {
    let body = std::str::from_utf8(&BODY[from..to]).unwrap();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\netag: \"e\"\r\ncontent-digest: sha-256=:{DIGEST}:\r\n\
         content-range: bytes {from}-19/20\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        BODY.len() - from
    )
}

#[tokio::test]
async fn what_is_cut_is_gone_on_with_where_it_was_cut() {
    let elsewhere = answer("206 Partial Content", 9, 20);
    let script =
        [answer("200 OK", 0, 7), answer("206 Partial Content", 7, 7), elsewhere, answer("206 Partial Content", 7, 20)];
    let (came, requests) = told(&script).await;
    assert_eq!(came.unwrap(), BODY);
    assert!(!requests[0].contains("range"), "{requests:?}");
    for again in &requests[1..] {
        assert!(again.contains("range: bytes=7-\r\n") && again.contains("if-range: \"e\"\r\n"), "{again}");
    }
}

#[tokio::test]
async fn who_knows_no_ranges_sends_all_again_and_what_is_known_is_passed_over() {
    let (came, requests) = told(&[answer("200 OK", 0, 7), answer("200 OK", 0, 20)]).await;
    assert_eq!((came.unwrap().as_slice(), requests.len()), (BODY, 2));
}

#[tokio::test]
async fn what_does_not_meet_its_digest_ends_with_an_error_that_names_the_job() {
    let damaged = answer("200 OK", 0, 20).replace("0123", "0124");
    let (came, _) = told(&[damaged]).await;
    let error = came.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ResultDamaged) && error.job_id() == Some("j"), "{error:?}");
}

#[tokio::test]
async fn a_job_that_has_not_finished_is_not_asked_for_its_result_again() {
    let body = r#"{"code": "job-not-finished", "status": 409, "detail": "it runs", "retryable": true}"#;
    let head = "content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close";
    let refused = format!("HTTP/1.1 409 Conflict\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (came, requests) = told(&[refused]).await;
    let error = came.unwrap_err();
    assert_eq!(error.problem().map(|problem| problem.code.as_str()), Some("job-not-finished"), "{error:?}");
    assert_eq!((requests.len(), error.job_id()), (1, Some("j")));
}
