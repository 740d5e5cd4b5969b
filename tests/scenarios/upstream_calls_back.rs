//! An upstream that ends its jobs itself, while workers and replicas of the API are killed around it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::room;

const BASE: &str = "https://jobs.example.com";

async fn order(upstream: &Receiver) -> (Cluster, Client) {
    let url = upstream.url();
    let settings =
        format!("[http]\npublic_url = \"{BASE}\"\n[kinds.order]\nhttp = \"{url}\"\ncompletion = \"callback\"\n");
    let mut cluster = Cluster::new(&shared_backends().await, &settings);
    let api = cluster.api("api").await;
    cluster.worker("first");
    (cluster, api)
}

async fn path(upstream: &Receiver, n: usize) -> String {
    let heard = upstream.until(n).await[n - 1].clone();
    heard.header("raincheck-completion-url").strip_prefix(BASE).unwrap().to_owned()
}

async fn complete(api: &Client, path: &str) -> u16 {
    api.send(Method::POST, path, &[("content-type", "text/plain")], "ramen").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_upstream_has_survives_its_worker_and_every_replica_and_is_sent_once() {
    let _room = room::shared().await;
    let upstream = Receiver::answering(202).await;
    let (mut cluster, api) = order(&upstream).await;
    let id = api.submit("order", &json!({"dish": "ramen"})).await;
    let url = path(&upstream, 1).await;
    let handed_over = "SELECT count(*) FROM workers WHERE awaits_upstream";
    cluster.until_count(handed_over, 1, Duration::from_secs(20)).await;
    cluster.process("first").kill();
    let dead = "SELECT -count(*) FROM workers WHERE NOT awaits_upstream";
    cluster.until_count(dead, 0, Duration::from_secs(20)).await;
    cluster.process("api").kill();
    cluster.worker("second");
    let api = cluster.api("another").await;
    assert_eq!(api.job(&id).await["status"], "in_progress");
    assert_eq!(complete(&api, &url).await, 200);
    let job = api.done(&id).await;
    assert_eq!((&job["result"]["value"], &job["attempt"]), (&json!("ramen"), &json!(1)), "{job}");
    assert_eq!(upstream.heard().len(), 1, "it was sent again");
    assert_eq!(cluster.count("SELECT count(*) FROM jobs WHERE crashes > 0").await, 0);
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_before_the_upstream_has_answered_leaves_a_url_that_ends_nothing() {
    let _room = room::shared().await;
    let upstream = Receiver::start(|before, _| if before == 0 { Reply::Silence } else { Reply::Status(202) }).await;
    let (mut cluster, api) = order(&upstream).await;
    let id = api.submit("order", &json!({"dish": "ramen"})).await;
    let stale = path(&upstream, 1).await;
    cluster.process("first").kill();
    cluster.worker("second");
    let url = path(&upstream, 2).await;
    assert_eq!(complete(&api, &stale).await, 409);
    assert_eq!(api.job(&id).await["status"], "in_progress");
    assert_eq!(complete(&api, &url).await, 200);
    let job = api.done(&id).await;
    assert_eq!((&job["result"]["value"], &job["attempt"]), (&json!("ramen"), &json!(1)), "{job}");
    let heard = upstream.heard();
    assert!(heard.iter().all(|heard| heard.header("idempotency-key") == id));
    cluster.assert_nothing_is_left().await;
}
