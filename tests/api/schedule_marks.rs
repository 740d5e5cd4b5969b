//! What a schedule notes on its jobs, beside what its client does.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::{JSON, assert_problem, get};
use crate::harness::served::{Served, Work};

#[tokio::test]
async fn a_job_of_a_schedule_with_all_the_metadata_it_may_have_can_be_tried_again() {
    let served = Served::with(Work::Worker, &[("jobs.max_metadata", "2")]).await;
    let client = &served.client;
    let metadata: BTreeMap<&str, &str> = [("a", "1"), ("b", "2")].into();
    let body = json!({"cron": "0 7 * * *", "kind": "failing", "input": "x", "metadata": metadata});
    assert_eq!(client.send(Method::PUT, "/v1/schedules/full", &[JSON], body.to_string()).await.status, 201);
    let made = client.send(Method::POST, "/v1/schedules/full/trigger", &[], "").await.job_id();
    assert_eq!(client.done(&made).await["status"], "failed");
    let marked = json!({"a": "1", "b": "2", "schedule": "full"});
    let retry = |id: &str| format!("/v1/jobs/{id}/retry");
    let again = client.send(Method::POST, &retry(&made), &[], "").await;
    assert_eq!((again.status, &again.json()["metadata"]), (202, &marked), "{again:?}");
    let again = again.job_id();
    assert_eq!(client.done(&again).await["status"], "failed");
    let redriven = client.send(Method::POST, "/v1/jobs/redrive", &[JSON], r#"{"filter":{"kind":"failing"}}"#).await;
    assert_eq!(redriven.json()["refused"], json!([]), "{redriven:?}");
    let more = json!({"metadata": {"a": "1", "b": "2", "c": "3"}}).to_string();
    assert_problem(&client.send(Method::POST, &retry(&made), &[JSON], more).await, 422, "input-invalid");
    assert_eq!(get(client, &format!("/v1/jobs/{again}"), &[]).await.json()["metadata"], marked);
    assert!(served.stop().await);
}
