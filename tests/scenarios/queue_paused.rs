//! A paused queue: over RabbitMQ, without it, and through restarts.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, PrivateBackends, seconds, shared_backends};
use crate::harness::room;

const STARTED: &str = "SELECT count(*) FROM jobs WHERE started_at IS NOT NULL";
const KINDS: &str =
    "[kinds.nap]\nbuiltin = \"sleep\"\nconcurrency = 8\n[kinds.aside]\nbuiltin = \"echo\"\nqueue = \"aside\"\n";
/// Some heartbeats, and more than a message is held.
const A_WHILE: Duration = Duration::from_secs(3);

async fn act(api: &Client, verb: &str) {
    let answer = api.send(Method::POST, &format!("/v1/queues/default/{verb}"), &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_while_claims_are_under_way_lets_run_what_runs_and_starts_nothing_more() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, KINDS);
    let api = cluster.api("api").await;
    cluster.worker("first");
    cluster.worker("second");
    let mut ids = Vec::new();
    for n in 0..300 {
        ids.push(api.submit("nap", &seconds(0.05)).await);
        if n == 60 {
            act(&api, "pause").await;
        }
    }
    tokio::time::sleep(A_WHILE).await;
    let started = cluster.count(STARTED).await;
    assert!(started < 300, "all had started before the pause was heard");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(cluster.count(STARTED).await, started, "nothing more was started");
    let running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
    assert_eq!(cluster.count(running).await, 0, "what ran has ended");
    let other = api.submit("aside", &json!(1)).await;
    assert_eq!(api.done(&other).await["status"], "succeeded", "another queue goes on");

    // It is the database that knows: new processes start nothing either.
    cluster.process("first").kill();
    cluster.process("second").kill();
    cluster.process("api").kill();
    let api = cluster.api("api").await;
    cluster.worker("third");
    cluster.until_count("SELECT count(*) FROM workers WHERE report LIKE '%slots%'", 1, Duration::from_secs(20)).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(cluster.count(STARTED).await, started + 1, "only the one of the other queue");

    act(&api, "resume").await;
    for id in &ids {
        assert_eq!(api.done(id).await["status"], "succeeded");
    }
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_around_the_broker_does_not_lead_around_a_pause() {
    let _room = room::shared().await;
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, KINDS);
    let api = cluster.api("api").await;
    cluster.worker("worker");
    let first = api.submit("nap", &seconds(0.0)).await;
    assert_eq!(api.done(&first).await["status"], "succeeded");
    act(&api, "pause").await;
    private.rabbitmq.act("stop");
    // The other queue is served from the database, so the worker has found its way around the broker.
    let waits = api.submit("nap", &seconds(0.0)).await;
    tokio::time::sleep(A_WHILE).await;
    let late = api.submit("nap", &seconds(0.0)).await;
    let other = api.submit("aside", &json!(1)).await;
    assert_eq!(api.done(&other).await["status"], "succeeded");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(api.job(&late).await["status"], "queued");
    act(&api, "resume").await;
    assert_eq!(api.done(&late).await["status"], "succeeded");
    assert_eq!(api.done(&waits).await["status"], "succeeded");
    private.rabbitmq.act("resume");
    cluster.assert_nothing_is_left().await;
}
