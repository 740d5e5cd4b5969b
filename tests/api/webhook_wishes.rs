//! What clients may wish to be told, and where: refused before anything is kept, or kept with the job.

use std::time::Duration;

use raincheck_shared::domain::Scope;
use reqwest::Method;
use serde_json::json;

use super::keys::holder;
use super::webhooks::{served, settings, signature};
use super::{assert_problem, get, post_job};
use crate::harness::receiver::{Heard, Receiver};
use crate::harness::served::{Served, Work};

/// A secret that is not `default`'s.
const OWN: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

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
async fn a_tenant_is_never_signed_for_with_the_secret_of_another() {
    let settings = settings(&[("auth.required", "true"), ("webhooks.secrets.owner", OWN)]);
    let served = Served::with(Work::Worker, &settings).await;
    let receiver = Receiver::answering(200).await;
    let body = json!({"kind": "echo", "webhook": {"url": receiver.url()}});
    let all = &[Scope::JobsWrite, Scope::JobsRead];
    let guest = holder(&served, "guest", all).await;
    let sent = [("authorization", guest.as_str())];
    let refused = post_job(&served.client, &body, &sent).await;
    assert_eq!(assert_problem(&refused, 422, "webhook-url-rejected"), ["/webhook/url"]);
    let detail = refused.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("webhooks.secrets") && detail.contains("guest"), "{detail}");
    let batch = json!({"jobs": [{"kind": "echo"}], "webhook": {"url": receiver.url()}}).to_string();
    let headers = [super::JSON, sent[0]];
    let refused = served.client.send(Method::POST, "/v1/batches", &headers, batch).await;
    assert_eq!(assert_problem(&refused, 422, "webhook-url-rejected"), ["/webhook/url"]);

    let owner = holder(&served, "owner", all).await;
    assert_eq!(post_job(&served.client, &body, &[("authorization", owner.as_str())]).await.status, 202);
    let heard = receiver.until(1).await.remove(0);
    assert_eq!(heard.header("webhook-signature"), signature(&heard, OWN), "with its own, and with no other");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_retry_tells_whom_the_first_one_told_and_lets_its_input_go_as_soon() {
    for served in
        [Served::with(Work::Nobody, &settings(&[])).await, Served::on_postgres(Work::Nobody, &settings(&[])).await]
    {
        let receiver = Receiver::answering(200).await;
        let webhook = json!({"url": receiver.url(), "events": ["job.canceled"]});
        let body = json!({"kind": "echo", "webhook": webhook, "retention": {"input": "2h", "result": "3d"}});
        let first = post_job(&served.client, &body, &[]).await.job_id();
        let post = async |path: String, body: serde_json::Value| {
            served.client.send(Method::POST, &path, &[super::JSON], body.to_string()).await
        };
        post(format!("/v1/jobs/{first}/cancel"), json!({})).await;
        let kept = async |id: &str| served.store.erasures.find_input_retention(id.parse().unwrap()).await.unwrap();
        let again = post(format!("/v1/jobs/{first}/retry"), json!({})).await;
        assert_eq!(again.status, 202, "{}", again.json());
        let again = again.job_id();
        assert_eq!(kept(&again).await, Some(Duration::from_hours(2)));
        post(format!("/v1/jobs/{again}/cancel"), json!({})).await;
        let mut told: Vec<String> =
            receiver.until(2).await.iter().map(|it| it.json()["data"]["id"].as_str().unwrap().to_owned()).collect();
        told.sort();
        assert_eq!(told, [first.clone(), again]);

        let changed =
            json!({"retention": {"input": "1h"}, "webhook": {"url": receiver.url(), "events": ["job.expired"]}});
        let other = post(format!("/v1/jobs/{first}/retry"), changed).await.job_id();
        assert_eq!(kept(&other).await, Some(Duration::from_hours(1)), "what is given comes first");
        assert!(served.stop().await);
    }
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
