//! SIGTERM to a worker: it finishes what it can and gives back the rest; a deploy burns no attempt.

use std::time::Duration;

use reqwest::Method;

use crate::harness::cluster::{Cluster, seconds, shared_backends};
use crate::harness::room;
use crate::harness::wait::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_finishes_what_is_short_and_gives_back_what_is_long_without_burning_an_attempt() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, "[worker]\ndrain_timeout = \"3s\"\n");
    let api = cluster.api("api").await;
    cluster.worker("old");
    let short = api.submit("sleep", &seconds(2.5)).await;
    let long = api.submit("sleep", &seconds(8.0)).await;
    // What the worker itself says with its heartbeat: the store knows of a claim before the worker does.
    until("both to run", Duration::from_secs(20), async || {
        api.send(Method::GET, "/v1/queues/default", &[], "").await.json()["running"] == 2
    })
    .await;

    let status = cluster.process("old").terminate().await;
    assert!(status.success(), "{status}");
    assert_eq!(api.job(&short).await["status"], "succeeded");
    let given_back = api.job(&long).await;
    assert_eq!((given_back["status"].as_str(), given_back["attempt"].as_i64()), (Some("queued"), Some(0)));
    assert_eq!(cluster.count("SELECT count(*) FROM workers").await, 0, "it has signed off");

    cluster.worker("new");
    let job = api.done(&long).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_i64()), (Some("succeeded"), Some(1)));
    assert_eq!(cluster.count("SELECT max(crashes)::bigint FROM jobs").await, 0);
    cluster.assert_nothing_is_left().await;
}
