//! Web pages of other origins.

use reqwest::Method;
use serde_json::json;

use super::{JSON, assert_problem, get, post_job};
use crate::harness::client::Answer;
use crate::harness::served::{Served, Work};

const APP: &str = "https://app.example.com";

async fn preflight(served: &Served, path: &str, origin: &str, method: &str) -> Answer {
    let headers = [("origin", origin), ("access-control-request-method", method)];
    served.client.send(Method::OPTIONS, path, &headers, "").await
}

fn has(answer: &Answer, header: &str, name: &str) -> bool {
    answer
        .headers
        .get_all(header)
        .iter()
        .any(|value| value.to_str().unwrap().split(',').any(|part| part.trim().eq_ignore_ascii_case(name)))
}

#[tokio::test]
async fn a_page_that_is_listed_may_ask_submit_and_read_every_header() {
    let served =
        Served::with(Work::Nobody, &[("http.allowed_origins", "https://other.example,https://app.example.com")]).await;
    let asked = preflight(&served, "/v1/jobs", APP, "POST").await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, APP));
    for method in ["GET", "HEAD", "POST"] {
        assert!(has(&asked, "access-control-allow-methods", method), "{method}");
    }
    assert!(!has(&asked, "access-control-allow-methods", "DELETE"));
    for header in
        ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Prefer", "Range", "traceparent"]
    {
        assert!(has(&asked, "access-control-allow-headers", header), "{header}");
    }
    assert!(has(&asked, "vary", "Origin") && has(&asked, "vary", "Access-Control-Request-Method"));
    assert_eq!(asked.header("access-control-allow-credentials"), "");
    let result = preflight(&served, "/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab/result", APP, "GET").await;
    assert_eq!(result.status, 204);

    let submitted = post_job(&served.client, &json!({"kind": "echo"}), &[("origin", APP)]).await;
    assert_eq!((submitted.status, submitted.header("access-control-allow-origin")), (202, APP));
    assert!(has(&submitted, "vary", "Origin"));
    let told = |name: &str| {
        let transport = ["content-length", "content-type", "date", "vary", "access-control-allow-origin"];
        transport.contains(&name)
            || name == "access-control-expose-headers"
            || has(&submitted, "access-control-expose-headers", name)
    };
    for name in submitted.headers.keys() {
        assert!(told(name.as_str()), "{name} is not exposed");
    }
    // What went wrong can be read too.
    let forgotten = get(&served.client, "/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab", &[("origin", APP)]).await;
    assert_eq!((forgotten.status, forgotten.header("access-control-allow-origin")), (410, APP));
    // A cache must not give one page's answer to another.
    let plain = get(&served.client, "/v1/jobs", &[]).await;
    assert!(has(&plain, "vary", "Origin") && plain.header("access-control-allow-origin").is_empty());
    assert_eq!(plain.header("access-control-expose-headers"), "", "that is for pages");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_page_that_is_not_listed_sees_nothing_and_changes_nothing() {
    for listed in [&[][..], &[("http.allowed_origins", APP)]] {
        let served = Served::with(Work::Nobody, listed).await;
        for origin in
            ["https://evil.example", "http://app.example.com", "https://app.example.com.evil.example", "null", ""]
        {
            assert_eq!(preflight(&served, "/v1/jobs", origin, "POST").await.status, 405, "{origin}");
            // What a browser sends without asking first.
            let simple = [("content-type", "text/plain"), ("origin", origin)];
            let raw = served.client.send(Method::POST, "/v1/kinds/echo/jobs", &simple, "x").await;
            assert_problem(&raw, 403, "origin-not-allowed");
            let json = post_job(&served.client, &json!({"kind": "echo"}), &[("origin", origin)]).await;
            assert_problem(&json, 403, "origin-not-allowed");
            let read = get(&served.client, "/v1/jobs", &[("origin", origin)]).await;
            assert_eq!((read.status, read.header("access-control-allow-origin")), (200, ""), "the browser keeps it");
            assert_eq!(read.json()["jobs"], json!([]), "{origin} has submitted");
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_page_of_the_api_itself_needs_no_listing() {
    let served = Served::idle().await;
    let own = format!("http://{}", served.address);
    let headers = [JSON, ("origin", own.as_str())];
    let submitted = served.client.send(Method::POST, "/v1/kinds/echo/jobs", &headers, "1").await;
    assert_eq!(submitted.status, 202);
    assert!(served.stop().await);

    let served = Served::with(Work::Nobody, &[("http.public_url", "https://jobs.example.com/api")]).await;
    let submitted = post_job(&served.client, &json!({"kind": "echo"}), &[("origin", "https://jobs.example.com")]).await;
    assert_eq!(submitted.status, 202, "a proxy in front has another name than the one it asks for");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_star_lets_every_page_in() {
    let served = Served::with(Work::Nobody, &[("http.allowed_origins", "*")]).await;
    assert_eq!(
        preflight(&served, "/v1/jobs", "https://any.example", "POST").await.header("access-control-allow-origin"),
        "*"
    );
    let submitted = post_job(&served.client, &json!({"kind": "echo"}), &[("origin", "https://any.example")]).await;
    assert_eq!((submitted.status, submitted.header("access-control-allow-origin")), (202, "*"));
    assert_eq!(preflight(&served, "/nowhere", APP, "GET").await.status, 404);
    assert!(served.stop().await);
}
