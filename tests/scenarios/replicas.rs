//! Several APIs and workers at once: whoever asks whichever replica sees what happened, promptly.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::runs;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use crate::harness::wait::now;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_on_one_replica_sees_within_100_ms_what_became_of_a_job_sent_to_another() {
    let _room = room::alone().await;
    let mut cluster = Cluster::new(&shared_backends().await, &runs::traced_kind(0.3));
    let (a, b) = (cluster.api("a").await, cluster.api("b").await);
    for name in ["one", "two", "three"] {
        cluster.worker(name);
    }
    cluster.until_count("SELECT count(*) FROM workers", 3, Duration::from_secs(20)).await;

    let mut lags = Vec::new();
    for n in 0..15 {
        let id = b.submit("traced", &json!({ "n": n })).await;
        let answer = a.send(Method::GET, &format!("/v1/jobs/{id}?wait=20s"), &[], "").await;
        let (seen, job) = (now(), answer.json());
        assert_eq!(job["status"], "succeeded", "{job}");
        // When the end was recorded, by the database's clock, against when the client held it in hand, by this one's: on
        // one machine they are the same clock.
        let now_by_database = cluster.count("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").await;
        let asking = i64::try_from(seen.elapsed().as_millis()).unwrap();
        let ended = cluster
            .count_of("SELECT (extract(epoch FROM finished_at) * 1000)::bigint FROM jobs WHERE id = $1::uuid", &id)
            .await;
        lags.push(now_by_database - asking - ended);
    }
    lags.sort_unstable();
    let median = lags[lags.len() / 2];
    assert!(median <= 100, "the median lag was {median} ms: {lags:?}");
    let (_, overlaps) = runs::read(&cluster.path("runs"));
    assert_eq!(overlaps, 0);
    cluster.assert_nothing_is_left().await;
}
