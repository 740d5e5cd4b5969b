//! `/v1/leases`: jobs for remote workers.

use std::time::Duration;

use raincheck_shared::domain::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::keys::{holder, send_as};
use super::{JSON, assert_problem, get};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};
use crate::harness::wait::{now, until};

const SOON: Duration = Duration::from_secs(20);

/// Kinds for remote workers: one, one that may run for two seconds and is tried twice, one in another queue.
pub(super) const REMOTE: &[(&str, &str)] = &[
    ("kinds.hauled.remote", "true"),
    ("kinds.hauled.backoff", "1ms"),
    ("kinds.brief.remote", "true"),
    ("kinds.brief.timeout", "2s"),
    ("kinds.brief.backoff", "1ms"),
    ("kinds.brief.max_attempts", "2"),
    ("kinds.apart_hauled.remote", "true"),
    ("kinds.apart_hauled.queue", "apart"),
];

pub(super) async fn on_each_store(settings: &[(&str, &str)]) -> [Served; 2] {
    let all = [REMOTE, settings].concat();
    // A worker runs beside them, and must leave these jobs alone.
    [Served::with(Work::Worker, &all).await, Served::on_postgres(Work::Worker, &all).await]
}

pub(super) async fn ask(client: &Client, wish: &Value, wait: &str) -> Answer {
    client.send(Method::POST, "/v1/leases", &[JSON, ("prefer", wait)], wish.to_string()).await
}

/// One job of a kind, which must come.
pub(super) async fn lease(client: &Client, kind: &str, ttl: &str) -> Value {
    let answer = ask(client, &json!({"kinds": [kind], "ttl": ttl, "worker": "a test"}), "wait=20").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let leases = answer.json()["leases"].as_array().unwrap().clone();
    assert_eq!(leases.len(), 1);
    leases[0].clone()
}

pub(super) async fn say(client: &Client, lease: &Value, verb: &str, body: &Value) -> Answer {
    let path = format!("/v1/leases/{}/{verb}", lease["token"].as_str().unwrap());
    client.send(Method::POST, &path, &[JSON], body.to_string()).await
}

pub(super) fn id(lease: &Value) -> &str {
    lease["job_id"].as_str().unwrap()
}

#[tokio::test]
async fn a_job_is_leased_reported_on_and_completed_and_its_client_sees_all_of_it() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("hauled", &json!({"box": 7})).await;
        let held = lease(client, "hauled", "30s").await;
        assert_eq!((id(&held), &held["attempt"], &held["kind"]), (job.as_str(), &json!(1), &json!("hauled")));
        assert_eq!(held["input"], json!({"content_type": "application/json", "size": 9, "value": {"box": 7}}));
        assert_eq!(held["heartbeat_every_ms"], 10_000);
        assert_eq!(client.job(&job).await["status"], "in_progress");

        let told = say(client, &held, "progress", &json!({"percent": 40, "message": "half way"})).await;
        assert_eq!((told.status, &told.json()["cancel_requested"]), (200, &json!(false)));
        let shown = client.job(&job).await;
        assert_eq!(shown["progress"], json!({"percent": 40.0, "message": "half way"}));
        assert!(shown["heartbeat_at"].is_string());
        assert_eq!(say(client, &held, "logs", &json!({"lines": ["one", "two\nthree"]})).await.status, 200);
        assert_eq!(say(client, &held, "logs", &json!({"lines": ["four"]})).await.status, 200);
        let log = get(client, &format!("/v1/jobs/{job}/logs"), &[]).await.json();
        let lines: Vec<&str> = log["lines"].as_array().unwrap().iter().map(|l| l["line"].as_str().unwrap()).collect();
        assert_eq!(lines, ["one", "two", "three", "four"]);

        let path = format!("/v1/leases/{}/complete", held["token"].as_str().unwrap());
        let complete =
            async |body: &'static str| client.send(Method::POST, &path, &[("content-type", "text/csv")], body).await;
        let done = complete("a,b\n").await;
        assert_eq!((done.status, &done.json()["status"]), (200, &json!("succeeded")));
        assert_eq!(complete("a,b\n").await.json(), done.json(), "the same end sent twice");
        assert_problem(&complete("c,d\n").await, 409, "lease-lost");
        assert_problem(&say(client, &held, "fail", &json!({"message": "no"})).await, 409, "lease-lost");
        assert_problem(&say(client, &held, "heartbeat", &json!({})).await, 409, "lease-lost");
        let result = get(client, &format!("/v1/jobs/{job}/result"), &[]).await;
        assert_eq!((result.header("content-type"), result.body.as_ref()), ("text/csv", &b"a,b\n"[..]));
        until("the lease to be forgotten", SOON, async || {
            let ledger = served.store.queues.find_ledger().await.unwrap();
            ledger.workers.iter().all(|worker| worker.name != "a test")
        })
        .await;
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn heartbeats_keep_a_lease_for_longer_than_it_lasts_and_without_them_it_goes_to_another() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("hauled", &json!(1)).await;
        let first = lease(client, "hauled", "1s").await;
        let instant = |lease: &Value| OffsetDateTime::parse(lease["expires_at"].as_str().unwrap(), &Rfc3339).unwrap();
        until("it to be held for thrice as long as it lasts", SOON, async || {
            let beat = say(client, &first, "heartbeat", &json!({})).await;
            assert_eq!(beat.status, 200, "{beat:?}");
            instant(&beat.json()) > instant(&first) + Duration::from_secs(2)
        })
        .await;
        let second = lease(client, "hauled", "30s").await;
        assert_eq!((id(&second), &second["attempt"]), (job.as_str(), &json!(1)), "a lost lease burns no attempt");
        for verb in ["heartbeat", "complete", "release"] {
            assert_problem(&say(client, &first, verb, &json!({})).await, 409, "lease-lost");
        }
        assert_problem(&say(client, &first, "fail", &json!({"message": "late"})).await, 409, "lease-lost");
        let path = format!("/v1/leases/{}/input", first["token"].as_str().unwrap());
        assert_problem(&get(client, &path, &[]).await, 409, "lease-lost");
        assert_eq!(say(client, &second, "complete", &json!("second")).await.json()["status"], "succeeded");
        assert_eq!(client.job(&job).await["result"]["value"], "second");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn failures_are_retried_as_the_kind_says_and_end_when_no_attempt_is_left() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("brief", &json!(1)).await;
        let first = lease(client, "brief", "30s").await;
        let failed = say(client, &first, "fail", &json!({"message": "no luck", "detail": "a trace"})).await.json();
        assert_eq!(failed["status"], "retrying");
        let second = lease(client, "brief", "30s").await;
        assert_eq!((id(&second), &second["attempt"]), (job.as_str(), &json!(2)));
        assert_eq!(say(client, &second, "fail", &json!({"message": "again"})).await.json()["status"], "failed");
        let ended = client.job(&job).await;
        assert_eq!(ended["error"]["code"], "attempts-exhausted");
        assert_eq!(ended["attempts"][0]["error"]["message"], "no luck");
        assert_eq!(ended["attempts"][0]["error"]["detail"], "a trace");

        let job = client.submit("hauled", &json!(1)).await;
        let held = lease(client, "hauled", "30s").await;
        let fail = json!({"message": "never", "retryable": false});
        assert_eq!(say(client, &held, "fail", &fail).await.json()["status"], "failed");
        assert_eq!(say(client, &held, "fail", &fail).await.json()["status"], "failed", "sent twice");
        let error = client.job(&job).await["error"].clone();
        assert_eq!((&error["code"], &error["message"]), (&json!("handler-error"), &json!("never")));
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_job_that_is_given_back_waits_again_and_burns_no_attempt() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("brief", &json!(1)).await;
        for _ in 0..4 {
            let held = lease(client, "brief", "30s").await;
            assert_eq!((id(&held), &held["attempt"]), (job.as_str(), &json!(1)));
            assert_eq!(say(client, &held, "release", &json!({})).await.json()["status"], "queued");
        }
        let held = lease(client, "brief", "30s").await;
        let later = say(client, &held, "release", &json!({"delay": "1s"})).await.json();
        assert_eq!(later["status"], "retrying");
        let start = now();
        let held = lease(client, "brief", "30s").await;
        assert!(start.elapsed() >= Duration::from_millis(500), "leased before its time");
        assert_eq!(held["attempt"], 1);
        assert_eq!(client.job(&job).await["attempts"], json!([]));
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_cancel_is_told_at_the_next_heartbeat_and_what_is_made_after_that_does_not_count() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("hauled", &json!(1)).await;
        let held = lease(client, "hauled", "30s").await;
        let cancel =
            client.send(Method::POST, &format!("/v1/jobs/{job}/cancel"), &[JSON], r#"{"reason":"enough"}"#).await;
        assert_eq!(cancel.status, 202);
        let beat = say(client, &held, "heartbeat", &json!({})).await.json();
        assert_eq!((&beat["cancel_requested"], &beat["cancel_reason"]), (&json!(true), &json!("enough")));
        assert_eq!(say(client, &held, "complete", &json!("late")).await.json()["status"], "canceled");
        let ended = client.job(&job).await;
        assert_eq!((&ended["status"], &ended["result"]), (&json!("canceled"), &json!(null)));
        assert!(ended["cancel"]["acknowledged_at"].is_string());
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn who_runs_for_longer_than_the_kind_allows_loses_the_job_to_a_run_timeout() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("brief", &json!(1)).await;
        for attempt in 1..=2 {
            let held = lease(client, "brief", "30s").await;
            assert_eq!(held["attempt"], attempt);
            until("the lease to be lost", SOON, async || {
                say(client, &held, "heartbeat", &json!({})).await.status == 409
            })
            .await;
        }
        let ended = client.done(&job).await;
        assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!("attempts-exhausted")));
        assert_eq!(ended["attempts"][0]["error"]["code"], "run-timeout", "{ended}");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn what_is_large_is_fetched_and_a_result_that_is_too_large_is_refused() {
    for served in on_each_store(&[("jobs.max_output", "2KiB")]).await {
        let client = &served.client;
        let input = vec![0_u8; 3_000];
        let headers = [("content-type", "image/jpeg")];
        let job = client.send(Method::POST, "/v1/kinds/hauled/jobs", &headers, input.clone()).await.job_id();
        let held = lease(client, "hauled", "30s").await;
        assert_eq!((&held["input"]["value"], &held["input"]["size"]), (&json!(null), &json!(3_000)));
        let fetched = get(client, held["input"]["url"].as_str().unwrap(), &[]).await;
        assert_eq!(
            (fetched.status, fetched.header("content-type"), fetched.body.as_ref()),
            (200, "image/jpeg", &input[..])
        );
        let path = held["links"]["complete"].as_str().unwrap();
        assert_problem(&client.send(Method::POST, path, &headers, input).await, 413, "payload-too-large");
        assert_eq!(client.job(&job).await["status"], "in_progress", "the worker says what becomes of it");
        assert_eq!(client.send(Method::POST, path, &headers, vec![1; 2_048]).await.status, 200);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_all_at_once() {
    let served = Served::with(Work::Nobody, REMOTE).await;
    let client = &served.client;
    let bad =
        json!({"kinds": ["hauled", "echo", "nowhere", 7], "queues": [], "max": 0, "ttl": "2d", "worker": "", "x": 1});
    let pointers = assert_problem(&ask(client, &bad, "").await, 422, "input-invalid");
    assert_eq!(pointers, ["/kinds/1", "/kinds/2", "/kinds/3", "/queues", "/max", "/ttl", "/worker", "/x"]);
    let form = client.send(Method::POST, "/v1/leases", &[("content-type", "text/plain")], "{}").await;
    assert_problem(&form, 415, "unsupported-media-type");
    let none = json!({"token": "no-token"});
    assert_problem(&say(client, &none, "heartbeat", &json!({})).await, 400, "malformed-request");
    let unknown = json!({"token": "0192f0c1-2345-7abc-8def-0123456789ab.00000000000000000000000000000000"});
    for verb in ["heartbeat", "complete", "release"] {
        assert_problem(&say(client, &unknown, verb, &json!({})).await, 409, "lease-lost");
    }
    client.submit("hauled", &json!(1)).await;
    let held = lease(client, "hauled", "30s").await;
    for (verb, body, pointer) in [
        ("progress", json!({}), "/percent"),
        ("progress", json!({"percent": 101}), "/percent"),
        ("logs", json!({"lines": "one"}), "/lines"),
        ("fail", json!({}), "/message"),
        ("fail", json!({"message": "m", "retry_after": "soon"}), "/retry_after"),
        ("release", json!({"delay": -1}), "/delay"),
    ] {
        assert_eq!(assert_problem(&say(client, &held, verb, &body).await, 422, "input-invalid"), [pointer], "{body}");
    }
    assert_problem(&get(client, "/v1/leases", &[]).await, 405, "method-not-allowed");
    assert_eq!(say(client, &held, "heartbeat", &json!({})).await.status, 200);
    assert!(served.stop().await);

    let plain = Served::idle().await;
    let none = ask(&plain.client, &json!({}), "").await;
    assert_eq!(assert_problem(&none, 422, "input-invalid"), ["/kinds"]);
    assert!(plain.stop().await);
}

#[tokio::test]
async fn a_key_needs_its_scope_and_leases_the_jobs_of_its_tenant_only() {
    for served in on_each_store(&[("auth.required", "true")]).await {
        let all = [Scope::JobsWrite, Scope::JobsRead, Scope::JobsWork];
        let (mine, theirs) = (holder(&served, "mine", &all).await, holder(&served, "theirs", &all).await);
        let without = holder(&served, "mine", &[Scope::JobsWrite, Scope::JobsRead, Scope::Admin]).await;
        let only_work = holder(&served, "mine", &[Scope::JobsWork]).await;
        let refused = send_as(&served, Method::POST, "/v1/leases", &without, "{}").await;
        assert_problem(&refused, 403, "forbidden");
        assert!(refused.json()["detail"].as_str().unwrap().contains("jobs:work"));
        assert!(refused.header("www-authenticate").contains("jobs:work"));
        assert_problem(&send_as(&served, Method::GET, "/v1/jobs", &only_work, "").await, 403, "forbidden");

        let submit = r#"{"kind": "hauled", "input": 1}"#;
        let job = send_as(&served, Method::POST, "/v1/jobs", &mine, submit).await.job_id();
        assert_eq!(send_as(&served, Method::POST, "/v1/leases", &theirs, "{}").await.status, 204);
        let held = send_as(&served, Method::POST, "/v1/leases", &only_work, "{}").await.json()["leases"][0].clone();
        assert_eq!(id(&held), job);
        for verb in ["heartbeat", "complete", "release"] {
            let path = held["links"][verb].as_str().unwrap();
            assert_problem(&send_as(&served, Method::POST, path, &theirs, "{}").await, 409, "lease-lost");
        }
        let input = held["links"]["input"].as_str().unwrap();
        assert_problem(&send_as(&served, Method::GET, input, &theirs, "").await, 409, "lease-lost");
        assert_eq!(send_as(&served, Method::GET, input, &only_work, "").await.body.as_ref(), b"1");
        let complete = held["links"]["complete"].as_str().unwrap();
        assert_eq!(send_as(&served, Method::POST, complete, &only_work, "{}").await.status, 200);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_failure_is_recorded_however_long_its_message_and_a_progress_is_not() {
    for served in on_each_store(&[("kinds.hauled.max_attempts", "1")]).await {
        let client = &served.client;
        let job = client.submit("hauled", &json!(1)).await;
        let held = lease(client, "hauled", "5m").await;
        let long = "ü".repeat(100_000);
        let refused = say(client, &held, "progress", &json!({"percent": 1, "message": "ü".repeat(1_001)})).await;
        assert_eq!(assert_problem(&refused, 422, "input-invalid"), ["/message"]);
        let failed = say(client, &held, "fail", &json!({"message": long})).await;
        assert_eq!((failed.status, &failed.json()["status"]), (200, &json!("failed")), "{failed:?}");
        let again = say(client, &held, "fail", &json!({"message": long})).await;
        assert_eq!((again.status, again.json()), (200, failed.json()), "sent again, the same");
        assert_eq!(client.job(&job).await["error"]["message"], "ü".repeat(1_000));
        assert!(served.stop().await);
    }
}
