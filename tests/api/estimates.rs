//! What the API says of the time that a job will take.

use std::time::Duration;

use serde_json::{Value, json};

use super::get;
use crate::harness::served::Served;
use crate::harness::wait::until;

#[tokio::test]
async fn after_a_few_runs_a_kind_tells_its_times_and_a_running_job_when_it_will_end() {
    let served = Served::working().await;
    let unknown = get(&served.client, "/v1/kinds/sleep", &[]).await.json();
    assert_eq!(unknown["run_time"], Value::Null);
    for _ in 0..4 {
        let id = served.client.submit("sleep", &json!({"seconds": 0.2})).await;
        served.client.done(&id).await;
    }
    until("run times to be known", Duration::from_secs(20), async || {
        get(&served.client, "/v1/kinds/sleep", &[]).await.json()["run_time"]["sample"] == 4
    })
    .await;
    let times = get(&served.client, "/v1/kinds/sleep", &[]).await.json()["run_time"].clone();
    let p50 = times["p50_ms"].as_u64().unwrap();
    assert!((200..2_000).contains(&p50) && times["p95_ms"].as_u64().unwrap() >= p50, "{times}");

    let id = served.client.submit("sleep", &json!({"seconds": 6})).await;
    let mut job = Value::Null;
    until("it to run longer than any before", Duration::from_secs(10), async || {
        job = served.client.job(&id).await;
        job["estimate"]["basis"] == "it runs longer than the p95 of the last 4 runs"
    })
    .await;
    assert_eq!(job["estimate"]["finish_at"], Value::Null);
    assert!(job["heartbeat_at"].is_string() && job["queue_position"].is_null(), "{job}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn jobs_that_wait_tell_their_place_in_the_line() {
    let served = Served::idle().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(served.client.submit("echo", &json!(1)).await);
    }
    for (place, id) in ids.iter().enumerate() {
        until("its place to be known", Duration::from_secs(20), async || {
            served.client.job(id).await["queue_position"] == place + 1
        })
        .await;
    }
    let path = "/v1/kinds/echo/jobs?delay=1h";
    let answer = served.client.send(reqwest::Method::POST, path, &[("content-type", "application/json")], "1").await;
    let job = answer.json();
    assert_eq!((&job["queue_position"], &job["estimate"]["start_at"]), (&Value::Null, &job["run_at"]));
    assert!(served.stop().await);
}
