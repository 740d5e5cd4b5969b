//! What clients may wish to be told, and where: refused before anything is kept, or kept with the job.

use reqwest::Method;
use serde_json::json;

use super::webhooks::served;
use super::{assert_problem, get, post_job};
use crate::harness::receiver::{Heard, Receiver};
use crate::harness::served::{Served, Work};

#[tokio::test]
async fn a_webhook_that_cannot_be_told_is_refused_before_anything_is_kept() {
    let served = served(Work::Nobody, &[("webhooks.allow_http", "false")]).await;
    for url in [
        "",
        "example.com",
        "ftp://example.com/",
        "http://93.184.216.34/",
        "https://me:pw@93.184.216.34/",
        "https://93.184.216.34/#x",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://[2002:a00:1::]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://localhost/",
    ] {
        let body = json!({"kind": "echo", "webhook": {"url": url}});
        for validate_only in [false, true] {
            let mut body = body.clone();
            body["validate_only"] = json!(validate_only);
            let answer = post_job(&served.client, &body, &[]).await;
            assert_eq!(answer.status, 422, "{url}");
            assert_eq!(assert_problem(&answer, 422, "webhook-url-rejected"), ["/webhook/url"], "{url}");
        }
    }
    for (webhook, pointer) in [
        (json!({"url": "https://93.184.216.34/", "events": ["job.done"]}), "/webhook/events/0"),
        (json!({"url": "https://93.184.216.34/", "events": ["job.failed", "job.failed"]}), "/webhook/events/1"),
        (json!({"events": ["job.failed"]}), "/webhook/url"),
        (json!({"url": "https://93.184.216.34/", "secret": "x"}), "/webhook/secret"),
        (json!("https://93.184.216.34/"), "/webhook"),
    ] {
        let answer = post_job(&served.client, &json!({"kind": "echo", "webhook": webhook}), &[]).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), [pointer], "{webhook}");
    }
    let list = get(&served.client, "/v1/jobs", &[]).await.json();
    assert_eq!(list["jobs"], json!([]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn without_a_secret_no_webhook_is_taken() {
    let served = Served::with(Work::Nobody, &[]).await;
    let body = json!({"kind": "echo", "webhook": {"url": "https://93.184.216.34/"}});
    let answer = post_job(&served.client, &body, &[]).await;
    assert_eq!(assert_problem(&answer, 422, "webhook-url-rejected"), ["/webhook/url"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_repeated_request_is_the_same_with_the_same_webhook_only() {
    let served = served(Work::Nobody, &[]).await;
    let key = [("idempotency-key", "k")];
    let body = |url: &str, events: &[&str]| json!({"kind": "echo", "webhook": {"url": url, "events": events}});
    let first = post_job(&served.client, &body("http://127.0.0.1:9/a", &[]), &key).await;
    assert_eq!(first.status, 202);
    let again = post_job(&served.client, &body("http://127.0.0.1:9/a", &[]), &key).await;
    assert_eq!((again.header("idempotency-replayed"), again.job_id()), ("true", first.job_id()));
    for other in
        [body("http://127.0.0.1:9/b", &[]), body("http://127.0.0.1:9/a", &["job.failed"]), json!({"kind": "echo"})]
    {
        assert_problem(&post_job(&served.client, &other, &key).await, 422, "idempotency-key-reused");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_raw_submit_takes_its_webhook_from_the_query() {
    let receiver = Receiver::answering(200).await;
    let served = served(Work::Worker, &[]).await;
    let path = format!(
        "/v1/kinds/echo/jobs?webhook_url=http%3A%2F%2F{}%2Fin&webhook_events=job.started&webhook_events=job.succeeded",
        receiver.address
    );
    let answer = served.client.send(Method::POST, &path, &[("content-type", "text/plain")], "hello").await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    let mut events: Vec<String> = receiver.until(2).await.iter().map(Heard::event).collect();
    events.sort();
    assert_eq!(events, ["job.started", "job.succeeded"]);
    let events = "/v1/kinds/echo/jobs?webhook_events=job.started";
    let answer = served.client.send(Method::POST, events, &[("content-type", "text/plain")], "hello").await;
    assert_eq!(assert_problem(&answer, 422, "input-invalid"), ["/webhook_events"]);
    assert!(served.stop().await);
}
