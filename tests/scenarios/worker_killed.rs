//! `kill -9` of a worker: its jobs run again within two seconds.

use std::time::Duration;

use crate::harness::cluster::{Cluster, seconds, shared_backends};
use crate::harness::room;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_running_jobs_of_a_killed_worker_are_rescued_within_two_seconds_and_all_finish() {
    let _room = room::alone().await;
    let settings = "[worker]\nconcurrency = 256\n[kinds.nap]\nbuiltin = \"sleep\"\nconcurrency = 256\n";
    let mut cluster = Cluster::new(&shared_backends().await, settings);
    let api = cluster.api("api").await;
    cluster.worker("first");
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(api.submit("nap", &seconds(4.0)).await);
    }
    let running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
    cluster.until_count(running, 150, Duration::from_secs(20)).await;
    cluster.worker("second");
    cluster.until_count("SELECT count(*) FROM workers", 2, Duration::from_secs(20)).await;

    cluster.process("first").kill();
    let rescued = "SELECT count(*) FROM jobs WHERE crashes > 0";
    let took = cluster.until_count(rescued, 1, Duration::from_secs(20)).await;
    assert!(took <= Duration::from_secs(2), "the first rescue took {took:?}");

    for id in &ids {
        let job = api.done(id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        assert_eq!(job["attempt"], 1, "a crash burns no attempt: {job}");
    }
    let lost = cluster.count(rescued).await;
    assert!(lost >= 100, "only {lost} jobs were running under the killed worker");
    cluster.assert_nothing_is_left().await;
}
