//! `Idempotency-Key`.

use std::time::Duration;

use raincheck_shared::lifecycle::{Clock as _, SystemClock};
use reqwest::Method;
use serde_json::json;

use super::{assert_problem, get, post_job, post_text};
use crate::harness::served::{Served, Work};
use crate::harness::temp::TempFolder;

#[tokio::test]
async fn the_same_request_with_the_same_key_is_one_job() {
    let served = Served::idle().await;
    let body = json!({"kind": "echo", "input": 1, "delay": "1h"});
    let first = post_job(&served.client, &body, &[("idempotency-key", "order-42")]).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, "false"));
    assert_eq!(first.json()["idempotency_key"], "order-42");
    // Bare or quoted, it is the same key.
    let again = post_job(&served.client, &body, &[("idempotency-key", "\"order-42\"")]).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(again.job_id(), first.job_id());
    assert_eq!(again.header("location"), first.header("location"));
    let other = post_job(&served.client, &body, &[("idempotency-key", "order-43")]).await;
    assert_ne!(other.job_id(), first.job_id());
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"].as_array().unwrap().len(), 2);
    assert!(served.stop().await);
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused_and_told_of_the_first() {
    let served = Served::idle().await;
    let key = [("idempotency-key", "k")];
    let first = post_job(&served.client, &json!({"kind": "echo", "input": 1}), &key).await;
    for other in [
        json!({"kind": "echo", "input": 2}),
        json!({"kind": "sleep", "input": 1}),
        json!({"kind": "echo", "input": 1, "priority": 6}),
        json!({"kind": "echo", "input": 1, "tags": ["a"]}),
        json!({"kind": "echo", "input": 1, "timeouts": {"run": "1s"}}),
    ] {
        let answer = post_job(&served.client, &other, &key).await;
        assert_problem(&answer, 422, "idempotency-key-reused");
        assert_eq!(answer.json()["job_id"], first.job_id(), "{other}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(&first.job_id()));
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_key_works_for_raw_bodies_and_counts_their_type() {
    let served = Served::idle().await;
    let send = async |content_type: &str| {
        let headers = [("idempotency-key", "k"), ("content-type", content_type)];
        served.client.send(Method::POST, "/v1/kinds/echo/jobs", &headers, "body").await
    };
    let first = send("text/plain").await;
    assert_eq!(send("text/plain").await.job_id(), first.job_id());
    assert_problem(&send("text/html").await, 422, "idempotency-key-reused");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_replay_answers_the_job_as_it_is_now() {
    let served = Served::working().await;
    let key = [("idempotency-key", "k"), ("prefer", "wait=15")];
    let body = json!({"kind": "failing"});
    let first = post_job(&served.client, &body, &key).await;
    assert_eq!(first.json()["status"], "failed");
    let again = post_job(&served.client, &body, &key[..1]).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
    assert_eq!(again.json(), first.json(), "a failure does not free the key");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_replay_is_answered_even_once_its_deadline_has_passed() {
    let served = Served::idle().await;
    let deadline = SystemClock.now() + Duration::from_secs(2);
    let deadline = deadline.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({"kind": "echo", "deadline": deadline});
    let first = post_job(&served.client, &body, &[("idempotency-key", "k")]).await;
    assert_eq!(first.status, 202);
    crate::harness::wait::until("the deadline to pass", Duration::from_secs(10), async || {
        post_job(&served.client, &body, &[]).await.status == 422
    })
    .await;
    let again = post_job(&served.client, &body, &[("idempotency-key", "k")]).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.json());
    assert_eq!(again.job_id(), first.job_id());
    let unknown = post_job(&served.client, &body, &[("idempotency-key", "other")]).await;
    assert_problem(&unknown, 422, "deadline-in-past");
    assert!(served.stop().await);
}

#[tokio::test]
async fn many_equal_requests_at_once_are_one_job() {
    let served = Served::idle().await;
    let body = json!({"kind": "echo", "input": 1}).to_string();
    let sending = (0..40).map(|_| post_text(&served.client, &body, &[("idempotency-key", "k")]));
    let answers = futures_util::future::join_all(sending).await;
    let first = answers.iter().filter(|answer| answer.header("idempotency-replayed") == "false");
    assert_eq!(first.count(), 1);
    for answer in &answers {
        assert_eq!(answer.job_id(), answers[0].job_id());
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn keys_that_are_not_allowed_are_malformed() {
    let served = Served::idle().await;
    let body = json!({"kind": "echo"});
    for key in ["", "\"\"", "\"open", &"k".repeat(256), "a\tb"] {
        let answer = post_job(&served.client, &body, &[("idempotency-key", key)]).await;
        assert_problem(&answer, 400, "idempotency-key-invalid");
    }
    let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_problem(&post_job(&served.client, &body, &two).await, 400, "idempotency-key-invalid");
    let long = "k".repeat(255);
    assert_eq!(post_job(&served.client, &body, &[("idempotency-key", &long)]).await.status, 202);
    let head = "POST /v1/kinds/echo/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\nconnection: close\r\n";
    let said = served.raw(&[head.as_bytes(), b"idempotency-key: \xff\xfe\r\n\r\nx"].concat()).await;
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("idempotency-key-invalid"), "{said}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_retried_post_does_not_run_twice() {
    for served in Served::on_each_store(Work::Worker).await {
        let folder = TempFolder::new("raincheck-noted");
        let note = folder.0.join("runs");
        let input = note.to_str().unwrap().to_owned();
        let headers = [("idempotency-key", "once"), ("content-type", "text/plain")];
        let send = || served.client.try_send(Method::POST, "/v1/kinds/noting/jobs", &headers, input.clone());
        // A client that hears nothing sends again, and again, while the first is still under way.
        let gave_up = tokio::time::timeout(Duration::from_millis(1), send()).await;
        let answers = futures_util::future::join_all((0..8).map(|_| send())).await;
        let ids: Vec<String> = answers.into_iter().map(|answer| answer.unwrap().job_id()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}, {gave_up:?}");
        let done = served.client.done(&ids[0]).await;
        assert_eq!((&done["status"], &done["attempt"]), (&json!("succeeded"), &json!(1)));
        assert_eq!(send().await.unwrap().job_id(), ids[0]);
        assert_eq!(std::fs::read_to_string(&note).unwrap(), "ran\n");
        assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"].as_array().unwrap().len(), 1);
        assert!(served.stop().await);
    }
}
