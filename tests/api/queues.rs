//! `GET /v1/queues`, pausing, and `GET /metrics`.

use std::time::Duration;

use raincheck_shared::telemetry::metrics;
use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_problem, get, post_job};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(20);

async fn act(client: &Client, queue: &str, verb: &str) -> Answer {
    client.send(Method::POST, &format!("/v1/queues/{queue}/{verb}"), &[], "").await
}

async fn queue(client: &Client, name: &str) -> Value {
    get(client, &format!("/v1/queues/{name}"), &[]).await.json()
}

#[tokio::test]
async fn a_queue_tells_what_waits_runs_and_works() {
    for served in Served::on_each_store(Work::Worker).await {
        let client = &served.client;
        let long = json!({"kind": "sleep", "input": {"seconds": 60}});
        let running = post_job(client, &long, &[]).await.job_id();
        act(client, "apart", "pause").await;
        for n in 0..3 {
            post_job(client, &json!({"kind": "echo", "input": n}), &[("prefer", "wait=15")]).await;
        }
        until("the worker to tell of its work", SOON, async || {
            let queue = queue(client, "default").await;
            queue["running"] == 1 && queue["workers"] == 1 && queue["ends_per_second"].as_f64().unwrap() > 0.0
        })
        .await;
        let told = queue(client, "default").await;
        assert_eq!((&told["waiting"], &told["oldest_age_seconds"]), (&json!(0), &json!(null)));
        assert_eq!((&told["paused"], &told["backlog_seconds"]), (&json!(false), &json!(0.0)));
        assert!(told["slots"].as_u64().unwrap() > 0 && told["run_seconds"].is_number(), "{told}");
        let all = get(client, "/v1/queues", &[]).await.json();
        let names: Vec<&str> = all["queues"].as_array().unwrap().iter().map(|q| q["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["apart", "default"]);
        assert_problem(&get(client, "/v1/queues/nowhere", &[]).await, 404, "queue-not-found");
        assert_problem(&get(client, "/v1/queues/-", &[]).await, 404, "queue-not-found");
        assert_problem(&act(client, "nowhere", "pause").await, 404, "queue-not-found");
        client.send(Method::POST, &format!("/v1/jobs/{running}/cancel"), &[], "").await;
        client.done(&running).await;
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_paused_queue_accepts_and_starts_nothing_and_another_goes_on() {
    for served in Served::on_each_store(Work::Worker).await {
        let client = &served.client;
        assert_eq!(act(client, "apart", "pause").await.status, 200);
        let paused = act(client, "apart", "pause").await.json();
        assert_eq!(paused["paused"], true);
        until("the worker to have heard", SOON, async || {
            // One that was taken before it heard is done; the first that is not within a second shows that it has.
            post_job(client, &json!({"kind": "apart"}), &[("prefer", "wait=1")]).await.status == 202
        })
        .await;
        let waits = client.submit("apart", &json!(1)).await;
        for n in 0..20 {
            let other = post_job(client, &json!({"kind": "echo", "input": n}), &[("prefer", "wait=15")]).await;
            assert_eq!(other.status, 200, "another queue goes on");
        }
        until("more time to pass than a message is held, and than the look for lost ones takes", SOON, async || {
            queue(client, "apart").await["oldest_age_seconds"].as_f64().unwrap() > 3.0
        })
        .await;
        let job = client.job(&waits).await;
        assert_eq!((&job["status"], &job["version"]), (&json!("queued"), &json!(1)), "{job}");
        let told = queue(client, "apart").await;
        assert!(told["waiting"].as_u64().unwrap() >= 2 && told["oldest_age_seconds"].as_f64().unwrap() > 1.0, "{told}");
        assert!(told["backlog_seconds"].as_f64().unwrap() > 0.0 && told["paused_at"].is_string(), "{told}");
        assert_eq!(act(client, "apart", "resume").await.json()["paused"], false);
        assert_eq!(act(client, "apart", "resume").await.json()["paused_at"], json!(null));
        assert_eq!(client.done(&waits).await["status"], "succeeded");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn every_metric_is_told_with_its_meaning() {
    let served = Served::working().await;
    served.client.submit("echo", &json!(1)).await;
    let text = async || {
        let answer = get(&served.client, "/metrics", &[]).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    until("the worker to tell of its work", SOON, async || text().await.contains("outcome=\"succeeded\"} 1\n")).await;
    let text = text().await;
    for metric in metrics::ALL {
        assert!(text.contains(&format!("# TYPE {} {}\n", metric.name, metric.sort)), "{}", metric.name);
    }
    let page = crate::tidy::tree::file("docs/operations.md").text;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
        assert!(page.contains(&format!("`{}`", name.split('{').next().unwrap())), "docs/operations.md: {name}");
    }
    assert!(text.contains("raincheck_jobs_accepted_total 1\n"), "{text}");
    assert!(text.contains("raincheck_http_requests_total{class=\"2xx\"} "));
    assert!(text.contains("raincheck_queue_paused{queue=\"default\"} 0\n"));
    assert!(served.stop().await);
}
