//! `kill -9` of the API: what was answered with 202 is done; nothing runs twice.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::runs;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use crate::harness::wait::alongside;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_of_a_burst_that_got_its_202_before_the_api_was_killed_is_done_once() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, &runs::traced_kind(0.01));
    let api = cluster.api("api").await;
    cluster.worker("worker");

    // Eight clients submit until the API is gone; each keeps the ids that it was promised.
    let clients = (0..8).map(|n| {
        let api = api.clone();
        alongside(async move {
            let mut promised = Vec::new();
            for k in 0..1_000 {
                match api.try_submit("traced", &json!({ "client": n, "job": k })).await {
                    Ok(answer) if answer.status == 202 => promised.push(answer.job_id()),
                    Ok(answer) => panic!("{}: {}", answer.status, answer.json()),
                    Err(_) => return promised,
                }
            }
            panic!("the API was never killed");
        })
    });
    let clients: Vec<_> = clients.collect();
    cluster.until_count("SELECT count(*) FROM jobs", 100, Duration::from_secs(30)).await;
    cluster.process("api").kill();
    let promised: Vec<String> = join_all(clients).await.into_iter().flat_map(Result::unwrap).collect();
    assert!(promised.len() >= 50, "only {} jobs were promised before the kill", promised.len());

    let api = cluster.api("api").await;
    for id in &promised {
        let job = api.done(id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    cluster.assert_nothing_is_left().await;
    let (started, overlaps) = runs::read(&cluster.path("runs"));
    assert_eq!(overlaps, 0);
    for id in &promised {
        assert_eq!(started.get(id), Some(&1), "no worker died, so {id} ran once");
    }
}
