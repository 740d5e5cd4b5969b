//! `POST /v1/jobs/{id}/cancel`.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{JSON, assert_problem};
use crate::harness::client::Answer;
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

async fn cancel(served: &Served, id: &str, body: &str) -> Answer {
    let headers = if body.is_empty() { &[][..] } else { &[JSON][..] };
    served.client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), headers, body.to_owned()).await
}

#[tokio::test]
async fn a_waiting_job_is_canceled_at_once_and_twice_is_as_good_as_once() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let first = cancel(&served, &id, r#"{"reason": "rain"}"#).await;
    assert_eq!(first.status, 200);
    let job = first.json();
    assert_eq!((&job["status"], &job["done"]), (&json!("canceled"), &json!(true)));
    assert_eq!(job["cancel"]["reason"], "rain");
    assert_eq!(first.header("etag"), format!("\"{}\"", job["version"]));
    let again = cancel(&served, &id, "").await;
    assert_eq!((again.status, again.json()), (200, job));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_running_job_is_asked_to_stop_and_who_waits_for_it_hears() {
    let served = Served::working().await;
    let id = served.client.submit("sleep", &json!({"seconds": 60})).await;
    until("the job to run", Duration::from_secs(10), async || served.client.job(&id).await["status"] == "in_progress")
        .await;
    let (asked, ended) = tokio::join!(cancel(&served, &id, ""), served.client.done(&id));
    assert_eq!(asked.status, 202);
    assert!(asked.json()["cancel"]["requested_at"].is_string());
    assert_eq!(ended["status"], "canceled");
    assert!(ended["cancel"]["acknowledged_at"].is_string());
    assert!(served.stop().await);
}

#[tokio::test]
async fn after_the_grace_a_job_is_canceled_over_its_handlers_head_and_nobody_says_that_it_stopped() {
    let served = Served::with(Work::Worker, &[("jobs.cancel_grace", "1s")]).await;
    let id = served.client.submit("deaf", &json!(60)).await;
    until("the job to run", Duration::from_secs(10), async || served.client.job(&id).await["status"] == "in_progress")
        .await;
    let asked = cancel(&served, &id, "").await;
    assert_eq!((asked.status, &asked.json()["cancel"]["acknowledged_at"]), (202, &json!(null)));
    let took = until("the lease to be revoked", Duration::from_secs(8), async || {
        served.client.job(&id).await["status"] == "canceled"
    })
    .await;
    assert!(took >= Duration::from_millis(900), "not before the grace is over: {took:?}");
    let ended = served.client.job(&id).await;
    assert_eq!((&ended["cancel"]["acknowledged_at"], &ended["result"]), (&json!(null), &json!(null)), "{ended}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn an_ended_job_cannot_be_canceled() {
    let served = Served::working().await;
    let id = served.client.submit("echo", &json!(1)).await;
    served.client.done(&id).await;
    assert_problem(&cancel(&served, &id, "").await, 409, "job-already-finished");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_wrong_reason_cancels_nothing() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(513));
    for (body, pointer) in
        [(r#"{"reson": "x"}"#, "/reson"), (r#"{"reason": 1}"#, "/reason"), ("[]", ""), (long.as_str(), "/reason")]
    {
        assert_eq!(assert_problem(&cancel(&served, &id, body).await, 422, "input-invalid"), [pointer], "{body}");
    }
    assert_problem(&cancel(&served, &id, "{").await, 400, "malformed-request");
    let path = format!("/v1/jobs/{id}/cancel");
    let text = served.client.send(Method::POST, &path, &[("content-type", "text/plain")], "{}").await;
    assert_problem(&text, 415, "unsupported-media-type");
    let nul = r#"{"reason": "a\u0000b"}"#;
    assert_eq!(assert_problem(&cancel(&served, &id, nul).await, 422, "input-invalid"), ["/reason"]);
    assert_eq!(served.client.job(&id).await["status"], "queued");
    assert!(served.stop().await);
}
