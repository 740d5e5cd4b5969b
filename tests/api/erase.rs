//! `DELETE /v1/jobs/{id}`, and inputs that go before their jobs.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_problem, get, post_job};
use crate::harness::client::Answer;
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

async fn erase(served: &Served, id: &str, query: &str) -> Answer {
    served.client.send(Method::DELETE, &format!("/v1/jobs/{id}{query}"), &[], "").await
}

#[tokio::test]
async fn an_erased_job_is_still_told_and_its_result_is_gone_for_good() {
    let served = Served::working().await;
    let id = served.client.submit("echo", &json!("a secret")).await;
    let before = served.client.done(&id).await;
    for _ in 0..2 {
        let answer = erase(&served, &id, "").await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
    }
    let after = served.client.job(&id).await;
    assert_eq!((&after["status"], &after["result"]), (&json!("succeeded"), &Value::Null));
    assert_eq!(after["version"].as_i64(), before["version"].as_i64().map(|version| version + 1));
    assert!(after["erased_at"].is_string(), "{after}");
    assert!(!after.to_string().contains("secret"));
    assert_problem(&get(&served.client, &format!("/v1/jobs/{id}/result"), &[]).await, 410, "result-erased");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_live_job_is_erased_only_when_it_may_be_canceled_first() {
    let served = Served::working().await;
    let id = served.client.submit("sleep", &json!({"seconds": 60})).await;
    until("the job to run", Duration::from_secs(10), async || served.client.job(&id).await["status"] == "in_progress")
        .await;
    let refused = erase(&served, &id, "").await;
    assert_problem(&refused, 409, "job-not-finished");
    assert_eq!(served.client.job(&id).await["status"], "in_progress");
    assert_eq!(erase(&served, &id, "?cancel=true").await.status, 204);
    let job = served.client.job(&id).await;
    assert_eq!((&job["status"], job["erased_at"].is_string()), (&json!("canceled"), true));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_job_that_waits_is_canceled_and_erased_and_what_is_no_job_is_not() {
    let served = Served::idle().await;
    let waiting = served.client.submit("echo", &json!(1)).await;
    assert_eq!(erase(&served, &waiting, "?cancel=true").await.status, 204);
    assert_eq!(served.client.job(&waiting).await["status"], "canceled");
    assert_problem(&erase(&served, &waiting, "?cancel=perhaps").await, 422, "input-invalid");
    let unknown = "01000000-0000-4000-8000-000000000000";
    assert_problem(&erase(&served, unknown, "").await, 404, "job-not-found");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_handler_that_does_not_stop_is_not_erased_under_its_hands() {
    let served = Served::working().await;
    let id = served.client.submit("deaf", &json!(7)).await;
    until("the job to run", Duration::from_secs(10), async || served.client.job(&id).await["status"] == "in_progress")
        .await;
    let stopping = erase(&served, &id, "?cancel=true").await;
    let job = stopping.json();
    assert_eq!((stopping.status, &job["status"], &job["done"]), (202, &json!("in_progress"), &json!(false)), "{job}");
    assert_eq!(job["cancel"]["reason"], "to be erased");
    assert!(!stopping.header("retry-after").is_empty(), "it is to be asked again");
    let input = served.store.jobs.find_input(id.parse().unwrap()).await.unwrap();
    assert!(input.is_some(), "the handler may still look at it");
    assert_eq!(served.client.done(&id).await["status"], "canceled");
    assert_eq!(erase(&served, &id, "?cancel=true").await.status, 204);
    assert_eq!(served.store.jobs.find_input(id.parse().unwrap()).await.unwrap(), None);
    assert!(served.stop().await);
}

#[tokio::test]
async fn an_input_may_go_sooner_than_its_result() {
    let served = Served::with(Work::Worker, &[("upkeep.retention", "200ms")]).await;
    let body = json!({"kind": "failing", "input": 1, "retention": {"input": "1s", "result": "1d"}});
    let id = post_job(&served.client, &body, &[]).await.job_id();
    served.client.done(&id).await;
    until("the input to go", Duration::from_secs(20), async || {
        let retry = served.client.send(Method::POST, &format!("/v1/jobs/{id}/retry"), &[], "").await;
        retry.status == 410 && retry.json()["code"] == "input-expired"
    })
    .await;
    assert_eq!(served.client.job(&id).await["status"], "failed");
    // With a key a job stays for a day, and its input no longer than was asked for.
    let body = json!({"kind": "failing", "input": 1, "retention": {"input": "1s", "result": "1s"}});
    let keyed = post_job(&served.client, &body, &[("idempotency-key", "short")]).await.job_id();
    served.client.done(&keyed).await;
    until("the input to go", Duration::from_secs(20), async || {
        served.store.jobs.find_input(keyed.parse().unwrap()).await.unwrap().is_none()
    })
    .await;
    assert_eq!(served.client.job(&keyed).await["status"], "failed");
    let long = json!({"kind": "echo", "input": 1, "retention": {"input": "4000d"}});
    assert_eq!(assert_problem(&post_job(&served.client, &long, &[]).await, 422, "input-invalid"), ["/retention/input"]);
    assert!(served.stop().await);
}
