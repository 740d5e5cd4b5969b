//! RabbitMQ stopped, started, wiped: it costs latency, never a job.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, PrivateBackends};
use crate::harness::room;
use crate::harness::wait::{now, until};

/// Servers of the test's own, an API and a worker that hears of its jobs at once.
async fn at_work() -> (PrivateBackends, Cluster, Client) {
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, "");
    let api = cluster.api("api").await;
    cluster.worker("worker");
    until_fast(&api, Duration::from_mins(1)).await;
    (private, cluster, api)
}

/// Jobs are accepted and done.
async fn fifty_are_done(api: &Client) {
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(api.submit("echo", &json!({ "n": n })).await);
    }
    for id in &ids {
        assert_eq!(api.done(id).await["status"], "succeeded");
    }
}

/// How long one job takes from submit to a seen end.
async fn round_trip(api: &Client) -> Duration {
    let started = now();
    let id = api.submit("echo", &json!({ "hello": "kitchen" })).await;
    assert_eq!(api.done(&id).await["status"], "succeeded");
    started.elapsed()
}

async fn until_fast(api: &Client, patience: Duration) {
    until("deliveries to be fast again", patience, async || {
        let mut fast = true;
        // Five in a row: the fall-back, which looks once a second, cannot do that by chance.
        for _ in 0..5 {
            fast &= round_trip(api).await < Duration::from_millis(150);
        }
        fast
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_is_away_jobs_are_accepted_and_done_and_afterwards_delivery_is_fast_again() {
    let _room = room::shared().await;
    let (private, cluster, api) = at_work().await;

    private.rabbitmq.act("stop");
    fifty_are_done(&api).await;

    private.rabbitmq.act("resume");
    until_fast(&api, Duration::from_mins(1)).await;
    cluster.assert_nothing_is_left().await;
}

/// A RabbitMQ with an alarm still hands out messages, so a worker's link to it is in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_takes_no_messages_jobs_are_accepted_and_done() {
    let _room = room::shared().await;
    let (private, mut cluster, api) = at_work().await;

    private.rabbitmq.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
    fifty_are_done(&api).await;
    assert_eq!(api.send(Method::GET, "/readyz", &[], "").await.json()["broker"], "down");
    // With nothing left behind by the one before, each could wait anew until the worker notices that the broker takes nothing.
    for n in 0..5 {
        assert_eq!(api.done(&api.submit("echo", &json!({ "n": n })).await).await["status"], "succeeded");
    }
    let log = cluster.process("worker").log();
    assert_eq!(log.matches("jobs wait for the broker").count(), 1, "noticed once: {log}");
    assert!(!log.contains("claiming again what it delivers"), "while the broker takes nothing: {log}");

    cluster.run("doctor", &["doctor", "--set", &format!("http.listen={}", api.address())]);
    assert_eq!(cluster.process("doctor").ended().await.code(), Some(1));
    let findings = cluster.process("doctor").log();
    assert!(findings.contains("✗ the broker takes no messages"), "{findings}");
    assert!(findings.contains("but in trouble with: the broker"), "{findings}");

    private.rabbitmq.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    until_fast(&api, Duration::from_mins(1)).await;
    cluster.assert_nothing_is_left().await;
}

/// May it not write, the connections of both sides are in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_refuses_each_message_jobs_are_done_and_it_is_said_to_be_down() {
    let _room = room::shared().await;
    let (private, cluster, api) = at_work().await;

    let may_write = |what: &str| private.rabbitmq.ctl(&["set_permissions", "-p", "/", "guest", ".*", what, ".*"]);
    may_write("^([^.]*[.]wakeups|amq[.]gen.*)$");
    // Channels remember what they may.
    private.rabbitmq.ctl(&["close_all_connections", "what they may has changed"]);
    let mut ids = Vec::new();
    until("the broker to be shown as down", Duration::from_mins(2), async || {
        ids.push(api.submit("echo", &json!(1)).await);
        assert_eq!(api.done(ids.last().unwrap()).await["status"], "succeeded");
        api.send(Method::GET, "/readyz", &[], "").await.json()["broker"] == "down"
    })
    .await;

    may_write(".*");
    until_fast(&api, Duration::from_mins(1)).await;
    cluster.assert_nothing_is_left().await;
}

/// May it not read, all that is sent is taken, and nobody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rabbitmq_lets_nobody_read_jobs_are_done_and_it_is_said_to_be_down() {
    let _room = room::shared().await;
    let (private, mut cluster, api) = at_work().await;

    let may_read = |what: &str| {
        private.rabbitmq.ctl(&["set_permissions", "-p", "/", "guest", ".*", ".*", what]);
        // Channels remember what they may.
        private.rabbitmq.ctl(&["close_all_connections", "what they may has changed"]);
    };
    let broker = async || api.send(Method::GET, "/readyz", &[], "").await.json()["broker"].clone();
    may_read("^$");
    until("the broker to be shown as down", Duration::from_secs(30), async || {
        let known = cluster.process("api").log().contains("cannot hear wake-ups");
        known && broker().await == "down"
    })
    .await;
    assert_eq!(api.done(&api.submit("echo", &json!(1)).await).await["status"], "succeeded");
    cluster.run("doctor", &["doctor", "--set", &format!("http.listen={}", api.address())]);
    assert_eq!(cluster.process("doctor").ended().await.code(), Some(1));
    let findings = cluster.process("doctor").log();
    assert!(findings.contains("the broker refused: ") && findings.contains("ACCESS_REFUSED"), "{findings}");
    assert!(findings.contains("set_permissions"), "{findings}");

    may_read(".*");
    until("the broker to be shown as well", Duration::from_mins(1), async || broker().await == "ok").await;
    until_fast(&api, Duration::from_mins(1)).await;
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_on_a_rabbitmq_whose_data_is_wiped_is_done_all_the_same() {
    let _room = room::shared().await;
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, "");
    let api = cluster.api("api").await;
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(api.submit("echo", &json!({ "n": n })).await);
    }
    // No worker yet: all of them wait on the broker, and the store knows that they do.
    let published = "SELECT count(*) FROM dispatches WHERE published_at IS NOT NULL";
    cluster.until_count(published, 50, Duration::from_secs(30)).await;

    private.rabbitmq.act("kill");
    private.rabbitmq.act("wipe");
    private.rabbitmq.act("resume");
    // The wiped broker must be up when the worker comes, or the fall-back would hide the loss.
    until_published_again(&cluster).await;
    cluster.worker("worker");
    for id in &ids {
        assert_eq!(api.done(id).await["status"], "succeeded");
    }
    cluster.assert_nothing_is_left().await;
}

async fn until_published_again(cluster: &Cluster) {
    let again = "SELECT count(*) FROM dispatches WHERE publishes > 1";
    cluster.until_count(again, 50, Duration::from_mins(1)).await;
}
