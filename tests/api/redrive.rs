//! `POST /v1/jobs/redrive`, and the lists that show what it would try.

use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON, assert_problem, get, post_job};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};

async fn redrive(client: &Client, wish: &Value) -> Answer {
    client.send(Method::POST, "/v1/jobs/redrive", &[JSON], wish.to_string()).await
}

/// A job that fails for good, at once.
async fn failed(client: &Client, tag: &str) -> String {
    let body = json!({"kind": "takeaway", "input": {"dish": 1}, "tags": [tag]});
    let id = post_job(client, &body, &[]).await.job_id();
    assert_eq!(client.done(&id).await["status"], "failed");
    id
}

fn pairs(answer: &Answer) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let jobs = answer.json()["jobs"].as_array().unwrap().clone();
    jobs.iter().map(|job| (text(&job["id"]).unwrap(), text(&job["retried_by"]))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_jobs_are_found_tried_once_more_and_passed_over_from_then_on() {
    for served in Served::on_each_store(Work::Worker).await {
        let client = &served.client;
        let good = client.submit("echo", &json!(1)).await;
        client.done(&good).await;
        let mut old = Vec::new();
        for _ in 0..5 {
            old.push(failed(client, "a").await);
        }
        let other = failed(client, "b").await;

        let list = get(client, "/v1/jobs?status=failed&kind=takeaway&error_code=handler-error&tag=a", &[]).await;
        assert_eq!(list.json()["jobs"].as_array().unwrap().len(), 5);
        let none = get(client, "/v1/jobs?status=failed&error_code=worker-lost", &[]).await;
        assert_eq!(none.json()["jobs"], json!([]));
        let since = client.job(&old[3]).await["created_at"].as_str().unwrap().to_owned();
        let late = get(client, &format!("/v1/jobs?kind=takeaway&since={since}"), &[]).await;
        assert_eq!(late.json()["jobs"].as_array().unwrap().len(), 3, "{late:?}");
        let early = get(client, &format!("/v1/jobs?kind=takeaway&until={since}"), &[]).await;
        assert_eq!(early.json()["jobs"].as_array().unwrap().len(), 3, "{early:?}");

        let filter = json!({"kind": "takeaway", "error_code": "handler-error", "tags": ["a"]});
        let dry = redrive(client, &json!({"filter": filter, "dry_run": true})).await;
        assert_eq!((dry.status, &dry.json()["count"]), (200, &json!(5)));
        assert!(pairs(&dry).iter().all(|(_, new)| new.is_none()));

        let first = redrive(client, &json!({"filter": filter, "limit": 2})).await;
        assert_eq!(first.json()["count"], 2, "{first:?}");
        for (id, new) in pairs(&first) {
            let new = client.done(&new.unwrap()).await;
            assert_eq!((&new["retry_of"], &new["idempotency_key"]), (&json!(id), &Value::Null));
            assert_eq!(client.job(&id).await["status"], "failed", "the old one stays as it is");
        }
        // One is tried once more by hand.
        let by_hand = client.send(Method::POST, &format!("/v1/jobs/{}/retry", old[0]), &[], "").await;
        assert_eq!(client.done(&by_hand.job_id()).await["status"], "failed");
        let cursor = &first.json()["next_cursor"];
        let rest = redrive(client, &json!({"filter": filter, "cursor": cursor})).await;
        let mut tried: Vec<String> = pairs(&rest).into_iter().map(|(id, _)| id).collect();
        tried.sort();
        assert_eq!(tried, old[1..3], "the two newest were tried before, the oldest by hand");
        let left = redrive(client, &json!({"filter": {"tags": ["b"]}})).await;
        assert_eq!(pairs(&left)[0].0, other);
        served.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_redrive_by_many_at_once_makes_one_job_of_each() {
    for served in Served::on_each_store(Work::Worker).await {
        let mut old = Vec::new();
        for _ in 0..20 {
            old.push(failed(&served.client, "once").await);
        }
        let wish = json!({"filter": {"tags": ["once"], "until": "2100-01-01T00:00:00Z"}});
        let answers = futures_util::future::join_all((0..6).map(|_| redrive(&served.client, &wish))).await;
        let mut made: Vec<String> = answers.iter().flat_map(pairs).map(|(id, _)| id).collect();
        made.sort();
        old.sort();
        assert_eq!(made.iter().filter(|id| old.contains(id)).count(), 20, "each once: {made:?}");
        made.dedup();
        assert!(old.iter().all(|id| made.contains(id)));
        served.stop().await;
    }
}

#[tokio::test]
async fn a_wish_that_cannot_be_read_is_refused_with_all_that_is_wrong() {
    let served = Served::idle().await;
    let wish = json!({"filter": {"kind": "a b", "error_code": "oops", "status": "failed"}, "limit": 0, "dry": true});
    let answer = redrive(&served.client, &wish).await;
    assert_problem(&answer, 422, "input-invalid");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let mut pointers: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/dry", "/filter/error_code", "/filter/kind", "/filter/status", "/limit"]);
    assert_problem(&redrive(&served.client, &json!({"cursor": "x"})).await, 400, "invalid-cursor");
    assert_eq!(redrive(&served.client, &json!({})).await.json()["jobs"], json!([]));
    served.stop().await;
}
