//! Tenants side by side: one's flood does not starve another, and quotas hold over replicas.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use raincheck_shared::domain::{ApiKey, KeyText, Scope};
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};
use reqwest::Method;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use crate::harness::served::{Served, Work};
use crate::harness::wait::now;

const FLOOD: usize = 5_000;

async fn key(served: &Served, tenant: &str) -> String {
    let text = KeyText::new([IdSource.random(), IdSource.random(), IdSource.random()]);
    let key = ApiKey {
        id: text.id().clone(),
        tenant: tenant.parse().unwrap(),
        name: tenant.to_owned(),
        hash: text.hash(),
        scopes: vec![Scope::JobsWrite, Scope::JobsRead],
        created_at: SystemClock.now(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    };
    served.store.keys.create_key(&key).await.unwrap();
    format!("Bearer {}", text.expose())
}

async fn submit(client: &Client, key: &str, query: &str) -> String {
    let headers = [("content-type", "application/json"), ("authorization", key)];
    let path = format!("/v1/kinds/sleep/jobs?{query}");
    let answer = client.send(Method::POST, &path, &headers, r#"{"seconds":0.01}"#).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.job_id()
}

/// One worker that runs one job at a time, a tenant that floods the queue, and another with one job.
async fn one_job_behind_a_flood(served: Served, query: &str) {
    let (flood, lone) = (key(&served, "flood").await, key(&served, "lone").await);
    let client = Client::unchecked(served.client.address());
    let sent = stream::iter(0..FLOOD).map(|_| submit(&client, &flood, query)).buffer_unordered(32);
    assert_eq!(sent.count().await, FLOOD);

    let before = waiting(&served).await;
    let id = submit(&client, &lone, query).await;
    let started = now();
    let path = format!("/v1/jobs/{id}?wait=20s");
    let job = client.send(Method::GET, &path, &[("authorization", &lone)], "").await.json();
    assert_eq!(job["status"], "succeeded", "{job}");
    let after = waiting(&served).await;
    assert!(before > 3_000, "the flood was gone before it was passed: {before}");
    assert!(before - after < 500, "it waited for {} of {before} jobs, {:?}", before - after, started.elapsed());
    served.stop().await;
}

async fn waiting(served: &Served) -> u64 {
    served.store.outbox.depths(&[]).await.unwrap().iter().map(|depth| depth.jobs).sum()
}

const ONE_AT_A_TIME: [(&str, &str); 4] =
    [("auth.required", "true"), ("worker.concurrency", "1"), ("worker.drain_timeout", "1s"), ("http.workers", "2")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_job_passes_another_tenants_flood_in_embedded_mode() {
    let _room = room::alone().await;
    one_job_behind_a_flood(Served::with(Work::Worker, &ONE_AT_A_TIME).await, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_job_of_low_priority_passes_another_tenants_urgent_flood() {
    let _room = room::alone().await;
    one_job_behind_a_flood(Served::with(Work::Worker, &ONE_AT_A_TIME).await, "priority=9").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_together_let_no_more_wait_than_the_quota_and_a_little() {
    const QUOTA: i64 = 40;
    let toml = format!("[quotas]\nqueued = {QUOTA}\n[upkeep]\nlost_dispatches = \"200ms\"\n");
    let mut cluster = Cluster::new(&shared_backends().await, &toml);
    let (a, b) = (cluster.api("a").await, cluster.api("b").await);
    let started = now();
    let mut refused = [0; 2];
    // Both are asked in turn until both have refused several times over more than one count.
    while refused.iter().any(|count| *count < 20) {
        assert!(started.elapsed() < Duration::from_secs(30), "{refused:?}");
        for (n, client) in [&a, &b].into_iter().enumerate() {
            let answer = client.try_submit("echo", &json!(n)).await.unwrap();
            refused[n] += usize::from(answer.status == 429);
            assert!(matches!(answer.status, 202 | 429), "{answer:?}");
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let kept = cluster.count("SELECT count(*) FROM jobs").await;
    assert!((QUOTA..=QUOTA + QUOTA / 2).contains(&kept), "{kept} jobs wait");
}
