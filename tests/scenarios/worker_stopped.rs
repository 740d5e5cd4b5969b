//! A worker that is frozen for longer than its lease: its jobs run elsewhere, what the broker goes on to hand it does not
//! wait for it, and what it says when it thaws is refused.

use std::time::Duration;

use rustix::process::Signal;

use super::runs;
use crate::harness::cluster::{Cluster, FAST_LEASES, shared_backends};
use crate::harness::room;
use crate::harness::wait::until;

/// Of `[broker]`: it takes a frozen connection for a living one for minutes.
const LATE_BROKER: &str = "heartbeat = \"5m\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_late_results_of_a_frozen_worker_are_refused() {
    let _room = room::shared().await;
    // The commands are children: they go on while their worker is frozen, and have ended when it thaws.
    let mut cluster =
        Cluster::new(&shared_backends().await, &format!("{LATE_BROKER}{FAST_LEASES}{}", runs::traced_kind(2.0)));
    let api = cluster.api("api").await;
    cluster.worker("frozen");
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(api.submit("traced", &serde_json::json!({})).await);
    }
    let running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
    cluster.until_count(running, 5, Duration::from_secs(20)).await;
    cluster.process("frozen").signal(Signal::STOP);
    cluster.worker("second");

    for id in &ids {
        let job = api.done(id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    // The broker deals these out in turn, so it hands the frozen worker some: the living one looks for what went there.
    let mut later = Vec::new();
    for _ in 0..6 {
        later.push(api.submit("traced", &serde_json::json!({})).await);
    }
    for id in &later {
        // Far less than it takes until what lies with a consumer that is silent is announced once more.
        let done = tokio::time::timeout(Duration::from_secs(25), api.done(id)).await;
        let job = done.expect("a job that the broker handed to a dead worker to run elsewhere soon");
        assert_eq!((&job["status"], &job["attempt"]), (&"succeeded".into(), &1.into()), "{job}");
    }
    let rescued = "SELECT count(*) FROM jobs WHERE crashes = 1";
    assert_eq!(cluster.count(rescued).await, 5, "all of them were rescued once");
    let versions = "SELECT sum(version) FROM jobs";
    let before = cluster.count(versions).await;

    cluster.process("frozen").signal(Signal::CONT);
    until("the frozen worker to be refused and to start anew", Duration::from_secs(20), async || {
        let log = cluster.process("frozen").log();
        log.contains("worker.fenced_total=5") && log.matches("worker is registered").count() == 2
    })
    .await;
    assert_eq!(cluster.count(versions).await, before, "a refused result changes nothing");
    cluster.assert_nothing_is_left().await;
}
