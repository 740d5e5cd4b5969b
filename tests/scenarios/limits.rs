//! Limits over several workers, RabbitMQ and PostgreSQL: exact while they race, and free again after a crash.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, seconds, shared_backends};
use crate::harness::room;
use crate::harness::served::{Served, Work};
use crate::harness::temp::TempFolder;
use crate::harness::wait::{now, until};

/// A handler that looks who else runs: it notes itself in a folder, counts all notes there, and says how many there were.
fn witness(kind: &str, limits: &str, notes: &Path) -> String {
    let notes = notes.join(kind).display().to_string();
    std::fs::create_dir(&notes).unwrap();
    let script = format!("mine=$(mktemp {notes}/XXXXXX) && ls {notes} | wc -l && sleep 0.05 && rm $mine");
    format!("[kinds.{kind}]\ncommand = [\"sh\", \"-c\", \"{script}\"]\nconcurrency = 16\n{limits}\n")
}

async fn submit(api: &Client, kind: &str, query: &str) -> String {
    let headers = [("content-type", "application/json")];
    let answer = api.send(Method::POST, &format!("/v1/kinds/{kind}/jobs?{query}"), &headers, "null").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.job_id()
}

/// What the handlers of these jobs have seen at once, at most.
async fn most_at_once(api: &Client, ids: &[String]) -> u32 {
    let mut most = 0;
    for id in ids {
        let job = api.done(id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        most = most.max(job["result"]["value"].as_str().unwrap().trim().parse().unwrap());
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handler_ever_sees_more_of_its_kind_or_key_at_once_than_the_limit_over_three_workers() {
    let _room = room::shared().await;
    let notes = TempFolder::new("raincheck-test");
    let settings =
        witness("few", "concurrent_jobs = 3", &notes.0) + &witness("alone", "concurrent_per_key = 1", &notes.0);
    let mut cluster = Cluster::new(&shared_backends().await, &settings);
    // Two replicas look for permits at the same time.
    let (api, other) = (cluster.api("api").await, cluster.api("other").await);
    for name in ["one", "two", "three"] {
        cluster.worker(name);
    }
    let (mut few, mut alone) = (Vec::new(), Vec::new());
    for n in 0..90 {
        let through = if n % 2 == 0 { &api } else { &other };
        few.push(submit(through, "few", "").await);
        if n < 30 {
            alone.push(submit(through, "alone", "concurrency_key=one").await);
        }
    }
    assert_eq!(most_at_once(&api, &alone).await, 1);
    assert_eq!(most_at_once(&api, &few).await, 3, "as many as may, and never more");
    assert_eq!(cluster.count("SELECT count(*) FROM parked_jobs").await, 0);
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permits_of_a_killed_worker_are_free_once_its_jobs_are_rescued() {
    let _room = room::shared().await;
    let settings = "[kinds.nap]\nbuiltin = \"sleep\"\nconcurrent_jobs = 4\n";
    let mut cluster = Cluster::new(&shared_backends().await, settings);
    let api = cluster.api("api").await;
    cluster.worker("first");
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(api.submit("nap", &seconds(1.0)).await);
    }
    let running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
    cluster.until_count(running, 4, Duration::from_secs(20)).await;
    cluster.process("first").kill();
    cluster.worker("second");
    let started = now();
    until("all jobs to end", Duration::from_secs(40), async || {
        let at_once = cluster.count(running).await;
        assert!(at_once <= 4, "{at_once} run at once");
        cluster.count("SELECT count(*) FROM jobs WHERE finished_at IS NULL").await == 0
    })
    .await;
    assert!(cluster.count("SELECT count(*) FROM jobs WHERE crashes > 0").await >= 1, "nothing ran when it was killed");
    assert!(started.elapsed() < Duration::from_secs(20), "three rounds of a second took {:?}", started.elapsed());
    for id in &ids {
        assert_eq!(api.done(id).await["status"], "succeeded");
    }
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_any_second_no_more_jobs_start_than_the_rate_says() {
    let _room = room::shared().await;
    let settings = "[kinds.tick]\nbuiltin = \"sleep\"\nrate = \"5/s\"\n";
    let mut cluster = Cluster::new(&shared_backends().await, settings);
    let api = cluster.api("api").await;
    cluster.worker("one");
    cluster.worker("two");
    let mut ids = Vec::new();
    let started = now();
    for _ in 0..25 {
        ids.push(api.submit("tick", &seconds(0.0)).await);
    }
    for id in &ids {
        assert_eq!(api.done(id).await["status"], "succeeded");
    }
    let took = started.elapsed();
    let most = "SELECT max(n) FROM (SELECT (SELECT count(*) FROM jobs b WHERE b.started_at > a.started_at - interval '1 second' \
        AND b.started_at <= a.started_at) AS n FROM jobs a) w";
    assert_eq!(cluster.count(most).await, 5);
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(12), "25 jobs at 5 a second took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_wait_for_a_permit_hold_up_nobody_else_in_their_queue() {
    let _room = room::shared().await;
    let settings = [("kinds.slow.builtin", "sleep"), ("kinds.slow.concurrent_jobs", "1"), ("worker.concurrency", "2")];
    let served = Served::with(Work::Worker, &settings).await;
    let mut slow = Vec::new();
    for _ in 0..300 {
        slow.push(served.client.submit("slow", &seconds(0.5)).await);
    }
    let started = now();
    let other = served.client.submit("echo", &json!(1)).await;
    assert_eq!(served.client.done(&other).await["status"], "succeeded");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let last = served.client.job(slow.last().unwrap()).await;
    assert_eq!(last["status"], "queued");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_jobs_of_a_tenant_run_at_once_than_its_quota_whatever_their_kind() {
    let _room = room::shared().await;
    let settings = [("quotas.concurrent_jobs", "2"), ("kinds.also.builtin", "sleep")];
    let served = Served::with(Work::Worker, &settings).await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(served.client.submit(if n % 2 == 0 { "sleep" } else { "also" }, &seconds(0.2)).await);
    }
    let (mut most, mut left) = (0, ids.len());
    let list = |status: &'static str| format!("/v1/jobs?status={status}&limit=100");
    until("all of them to end", Duration::from_secs(30), async || {
        let count = async |status| {
            served.client.send(Method::GET, &list(status), &[], "").await.json()["jobs"].as_array().unwrap().len()
        };
        most = most.max(count("in_progress").await);
        left = ids.len() - count("succeeded").await;
        left == 0
    })
    .await;
    assert_eq!(most, 2);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_kept_by_a_retry_and_part_of_the_request() {
    let served = Served::with(Work::Worker, &[]).await;
    let client = &served.client;
    let body = |key: &str| json!({"kind": "echo", "input": 1, "concurrency_key": key}).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let answer = client.send(Method::POST, "/v1/jobs", &headers, body("customer-7")).await;
    assert_eq!((answer.status, &answer.json()["concurrency_key"]), (202, &json!("customer-7")));
    assert_eq!(client.send(Method::POST, "/v1/jobs", &headers, body("customer-8")).await.status, 422);
    assert_eq!(client.done(&answer.job_id()).await["concurrency_key"], "customer-7");
    for wrong in ["", &"x".repeat(256)] {
        let refused = client.send(Method::POST, "/v1/jobs", &headers[..1], body(wrong)).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/concurrency_key");
    }
    let held = client.send(Method::POST, "/v1/kinds/sleep/jobs?concurrency_key=a&delay=1h", &headers[..1], "1").await;
    assert_eq!(held.status, 202, "{held:?}");
    let id = held.job_id();
    assert_eq!(client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await.status, 200);
    let again = client.send(Method::POST, &format!("/v1/jobs/{id}/retry"), &[], "").await;
    assert_eq!((again.status, &again.json()["concurrency_key"]), (202, &json!("a")));
    served.stop().await;
}
