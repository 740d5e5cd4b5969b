//! A batch is counted exactly, whoever dies meanwhile.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::webhooks_told::WEBHOOKS;
use crate::harness::cluster::{Cluster, FAST_LEASES, seconds, shared_backends};
use crate::harness::receiver::Receiver;
use crate::harness::room;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_over_two_workers_one_of_them_killed_is_counted_exactly_and_completed_once() {
    let _room = room::shared().await;
    let receiver = Receiver::answering(200).await;
    let settings = format!("{FAST_LEASES}{WEBHOOKS}[kinds.nap]\nbuiltin = \"sleep\"\nconcurrency = 64\n");
    let mut cluster = Cluster::new(&shared_backends().await, &settings);
    let api = cluster.api("api").await;
    cluster.worker("first");
    cluster.worker("second");
    cluster.until_count("SELECT count(*) FROM workers", 2, Duration::from_secs(20)).await;
    let jobs: Vec<Value> = (0..600).map(|_| json!({"kind": "nap", "input": seconds(0.3)})).collect();
    let headers = [("content-type", "application/json")];
    let body = json!({ "jobs": jobs, "webhook": {"url": receiver.url()} }).to_string();
    let answer = api.send(Method::POST, "/v1/batches", &headers, body).await;
    let whole = answer.json();
    assert_eq!((answer.status, &whole["accepted"]), (207, &json!(600)));
    let path = format!("/v1/batches/{}", whole["id"].as_str().unwrap());

    cluster.until_count("SELECT succeeded::bigint FROM batches", 100, Duration::from_secs(30)).await;
    cluster.process("first").kill();
    cluster.until_count("SELECT count(*) FROM jobs WHERE crashes > 0", 1, Duration::from_secs(30)).await;
    let mut batch = json!(null);
    for _ in 0..6 {
        batch = api.send(Method::GET, &format!("{path}?wait=20s"), &[], "").await.json();
        if batch["done"] == true {
            break;
        }
    }
    assert_eq!((&batch["done"], &batch["counts"]["succeeded"]), (&json!(true), &json!(600)), "{batch}");
    let ended = cluster.count("SELECT count(*) FROM jobs WHERE finished_at IS NOT NULL AND batch_id IS NOT NULL").await;
    assert_eq!(ended, 600);
    let last = "SELECT count(*) FROM batches b WHERE b.finished_at = (SELECT max(finished_at) FROM jobs)";
    assert_eq!(cluster.count(last).await, 1, "the batch ended in the commit of its last job");
    let told = receiver.until(1).await.remove(0);
    assert_eq!((told.event(), &told.json()["data"]["counts"]), ("batch.completed".to_owned(), &batch["counts"]));
    assert_eq!(cluster.count("SELECT count(*) FROM deliveries").await, 1);
    cluster.assert_nothing_is_left().await;
}
