//! `GET /v1/jobs/{id}/result`.

use reqwest::Method;
use serde_json::json;

use super::{assert_problem, get, post_job};
use crate::harness::client::Answer;
use crate::harness::served::Served;

/// An ended job that made `body`.
async fn echoed(served: &Served, content_type: &str, body: &[u8]) -> Answer {
    let path = "/v1/kinds/echo/jobs?wait=15s";
    let answer = served.client.send(Method::POST, path, &[("content-type", content_type)], body.to_vec()).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer
}

fn result_of(answer: &Answer) -> String {
    format!("/v1/jobs/{}/result", answer.job_id())
}

#[tokio::test]
async fn a_result_comes_back_byte_for_byte_with_type_and_digest() {
    let served = Served::working().await;
    for (content_type, body) in [
        ("image/x-test", &b"\x00\x01\xff\r\n\r\n"[..]),
        ("application/json", br#"{ "b" : 1.50 }"#),
        ("text/plain; charset=utf-8", "Grüße ☂".as_bytes()),
        ("application/octet-stream", &[7; 10_000]),
        ("text/plain", b""),
    ] {
        let ended = echoed(&served, content_type, body).await;
        for _ in 0..2 {
            let result = get(&served.client, &result_of(&ended), &[]).await;
            assert_eq!((result.status, &result.body[..]), (200, body), "reading consumes nothing");
            assert_eq!(result.header("content-type"), content_type);
            assert_eq!(result.header("content-digest"), ended.json()["result"]["digest"].as_str().unwrap());
            assert_eq!(result.header("x-content-type-options"), "nosniff");
            assert_ne!(result.header("sunset"), "");
        }
    }
    let hello = echoed(&served, "text/plain", b"hello world").await;
    let known = "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:";
    assert_eq!(
        hello.json()["result"],
        json!({
            "content_type": "text/plain", "size": 11, "digest": known, "value": "hello world",
        })
    );
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_is_large_or_not_what_it_says_is_a_link_instead_of_a_value() {
    let served = Served::working().await;
    let large = format!("\"{}\"", "x".repeat(2_000));
    for (content_type, body) in
        [("application/json", large.as_bytes()), ("text/plain", b"\xff\xfe"), ("image/png", b"png")]
    {
        let job = echoed(&served, content_type, body).await.json();
        assert_eq!(job["result"]["value"], json!(null), "{content_type}");
        assert_eq!(job["result"]["url"], job["links"]["result"], "{content_type}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn parts_heads_and_unchanged_results_are_answered_as_http_has_it() {
    let served = Served::working().await;
    let path = result_of(&echoed(&served, "text/plain", b"0123456789").await);
    for (range, part, span) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=5-500", "56789", "bytes 5-9/10"),
    ] {
        let answer = get(&served.client, &path, &[("range", range)]).await;
        assert_eq!((answer.status, &answer.body[..]), (206, part.as_bytes()), "{range}");
        assert_eq!(answer.header("content-range"), span);
        assert_eq!(answer.header("content-digest"), "", "that would have to be the part's");
    }
    for whole in ["bytes=0-1,3-4", "lines=1-2", "bytes=x-"] {
        assert_eq!(get(&served.client, &path, &[("range", whole)]).await.status, 200, "{whole}");
    }
    let beyond = get(&served.client, &path, &[("range", "bytes=10-")]).await;
    assert_problem(&beyond, 416, "range-not-satisfiable");
    assert_eq!(beyond.header("content-range"), "bytes */10");

    let head = served.client.send(Method::HEAD, &path, &[], "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "10", 0));
    let tag = head.header("etag").to_owned();
    assert_eq!(get(&served.client, &path, &[("if-none-match", &tag)]).await.status, 304);
    let resumed = [("range", "bytes=5-"), ("if-range", tag.as_str())];
    assert_eq!(get(&served.client, &path, &resumed).await.status, 206);
    let other = [("range", "bytes=5-"), ("if-range", "\"other\"")];
    assert_eq!(get(&served.client, &path, &other).await.status, 200);
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_a_browser_would_run_is_downloaded_instead() {
    let served = Served::working().await;
    for active in ["text/html", "image/svg+xml", "application/xhtml+xml; charset=utf-8"] {
        let path = result_of(&echoed(&served, active, b"<script>alert(1)</script>").await);
        let answer = get(&served.client, &path, &[]).await;
        assert_eq!(answer.header("content-disposition"), "attachment", "{active}");
        assert!(answer.header("content-security-policy").contains("sandbox"));
    }
    let plain = result_of(&echoed(&served, "text/plain", b"x").await);
    assert_eq!(get(&served.client, &plain, &[]).await.header("content-disposition"), "");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_job_without_a_result_says_why() {
    let served = Served::working().await;
    let failed = post_job(&served.client, &json!({"kind": "failing"}), &[("prefer", "wait=15")]).await;
    let answer = get(&served.client, &result_of(&failed), &[]).await;
    assert_problem(&answer, 409, "job-failed");
    assert!(answer.json()["detail"].as_str().unwrap().contains("failed in attempt 1"), "{}", answer.json()["detail"]);

    let later = post_job(&served.client, &json!({"kind": "echo", "delay": "1h"}), &[]).await;
    let answer = get(&served.client, &result_of(&later), &[]).await;
    assert_problem(&answer, 409, "job-not-finished");
    assert_ne!(answer.header("retry-after"), "");

    let cancel = format!("/v1/jobs/{}/cancel", later.job_id());
    assert_eq!(served.client.send(Method::POST, &cancel, &[], "").await.status, 200);
    assert_problem(&get(&served.client, &result_of(&later), &[]).await, 409, "job-failed");
    assert!(served.stop().await);
}
