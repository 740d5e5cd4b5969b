//! Floods: neither another tenant's jobs nor those of low priority or of another kind wait until they are over.

use std::process::Command;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, seconds, shared_backends};
use crate::harness::process::program;
use crate::harness::room;
use crate::harness::served::{Served, Work};

const ENDED: &str = "SELECT count(*) FROM jobs WHERE finished_at IS NOT NULL";
/// One worker that runs one job at a time.
const SETTINGS: &str = "[worker]\nconcurrency = 1\n[http]\nworkers = 2\n[upkeep]\nlost_dispatches = \"1s\"\n";

async fn submit(api: &Client, key: Option<&str>, query: &str) -> String {
    let key = key.map(|key| ("authorization", key));
    let headers: Vec<_> = [("content-type", "application/json")].into_iter().chain(key).collect();
    let answer =
        api.send(Method::POST, &format!("/v1/kinds/sleep/jobs?{query}"), &headers, r#"{"seconds":0.01}"#).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.job_id()
}

async fn flood(api: &Client, jobs: usize, key: Option<&str>, query: &str) {
    let api = Client::unchecked(api.address());
    let sent = stream::iter(0..jobs).map(|_| submit(&api, key, query)).buffer_unordered(32);
    assert_eq!(sent.count().await, jobs);
}

/// How many other jobs ended from its acceptance to its end.
async fn others_meanwhile(cluster: &Cluster, api: &Client, key: Option<&str>, query: &str) -> i64 {
    let before = cluster.count(ENDED).await;
    let id = submit(api, key, query).await;
    let headers: Vec<_> = key.map(|key| ("authorization", key)).into_iter().collect();
    let job = api.send(Method::GET, &format!("/v1/jobs/{id}?wait=50s"), &headers, "").await.json();
    assert_eq!(job["status"], "succeeded", "{job}");
    let after = cluster.count(ENDED).await;
    let left = cluster.count("SELECT count(*) FROM jobs WHERE finished_at IS NULL").await;
    assert!(left > 500, "the flood was over: {left} left");
    after - before
}

fn key_of(cluster: &Cluster, tenant: &str) -> String {
    let made = Command::new(program())
        .args(["keys", "create", tenant, "--tenant", tenant])
        .current_dir(cluster.path("."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stdout);
    let key = said.split_whitespace().find(|word| word.starts_with("rk_"));
    format!("Bearer {}", key.unwrap_or_else(|| panic!("no key: {made:?}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_flood_of_thousands_does_not_delay_another_tenants_job_over_rabbitmq() {
    let _room = room::alone().await;
    let settings = format!("{SETTINGS}[auth]\nrequired = true\n");
    let mut cluster = Cluster::new(&shared_backends().await, &settings);
    let (many, lone) = (key_of(&cluster, "many"), key_of(&cluster, "lone"));
    let api = cluster.api("api").await;
    flood(&api, 4_000, Some(&many), "").await;
    cluster.worker("worker");
    cluster.until_count(ENDED, 20, Duration::from_secs(20)).await;
    let others = others_meanwhile(&cluster, &api, Some(&lone), "").await;
    assert!(others < 200, "{others} jobs of the flood went before it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_urgent_jobs_does_not_stop_one_of_low_priority_over_rabbitmq() {
    let _room = room::alone().await;
    let mut cluster = Cluster::new(&shared_backends().await, SETTINGS);
    let api = cluster.api("api").await;
    flood(&api, 3_000, None, "priority=9").await;
    cluster.worker("worker");
    cluster.until_count(ENDED, 20, Duration::from_secs(20)).await;
    let others = others_meanwhile(&cluster, &api, None, "priority=0").await;
    assert!(others < 300, "{others} urgent jobs went before it");
}

/// Many long jobs of a kind with one slot, and a few of another kind behind them.
async fn others_pass(api: &Client, slow: usize) {
    for _ in 0..slow {
        api.submit("slow", &seconds(60.0)).await;
    }
    for n in 0..3 {
        let id = api.submit("echo", &json!(n)).await;
        let job = api.send(Method::GET, &format!("/v1/jobs/{id}?wait=20s"), &[], "").await.json();
        assert_eq!(job["status"], "succeeded", "{job}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_whose_slots_are_busy_does_not_stop_the_others_of_its_queue_over_rabbitmq() {
    let _room = room::shared().await;
    let settings = "[kinds.slow]\nbuiltin = \"sleep\"\nconcurrency = 1\n[worker]\ndrain_timeout = \"1s\"\n";
    let mut cluster = Cluster::new(&shared_backends().await, settings);
    let api = cluster.api("api").await;
    cluster.worker("worker");
    others_pass(&api, 40).await;
    let running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
    assert_eq!(cluster.count(running).await, 1, "of the slow ones no more than one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_whose_slots_are_busy_does_not_stop_the_others_of_its_queue_in_one_process() {
    let _room = room::shared().await;
    let settings = [("kinds.slow.builtin", "sleep"), ("kinds.slow.concurrency", "1"), ("worker.drain_timeout", "1s")];
    let served = Served::with(Work::Worker, &settings).await;
    others_pass(&served.client, 40).await;
    assert!(served.stop().await);
}
