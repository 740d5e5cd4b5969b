//! The takeaway, as one tells it: order, order number, "not ready" at every visit, the pager buzzes, the meal.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::receiver::Receiver;
use crate::harness::room;
use crate::harness::wait::until;

/// The kitchen's telephone reaches pagers in this house.
const PAGERS: &str = "[webhooks]\nallow = [\"127.0.0.1\"]\nallow_http = true\n\
    secrets.default = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";

/// Looks at the counter: it is always an answer, and it is "not ready" until there is a meal.
async fn visit(counter: &Client, id: &str) -> Value {
    let answer = counter.send(Method::GET, &format!("/v1/jobs/{id}"), &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let job = answer.json();
    if job["done"] == false {
        assert_eq!(job["result"], Value::Null, "{job}");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1, "a guest is told when to look again");
        let meal = counter.send(Method::GET, &format!("/v1/jobs/{id}/result"), &[], "").await;
        // It may have become ready between the two looks, and then it is handed out.
        assert!(meal.status == 200 || meal.json()["code"] == "job-not-finished", "{}", meal.json());
    }
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_has_its_number_at_once_is_not_ready_at_each_visit_buzzes_its_pager_and_is_eaten() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, PAGERS);
    let (counter, window) = (cluster.api("counter").await, cluster.api("window").await);
    let pager = Receiver::answering(204).await;

    // The order, and its number, while nobody is in the kitchen yet.
    let order = json!({
        "kind": "takeaway", "input": {"dish": "ramen", "seconds": 2.0},
        "webhook": {"url": pager.url(), "events": ["job.succeeded", "job.failed"]},
    });
    let headers = [("content-type", "application/json"), ("idempotency-key", "table-7")];
    let accepted = counter.send(Method::POST, "/v1/jobs", &headers, order.to_string()).await;
    assert_eq!(accepted.status, 202, "{}", accepted.json());
    let number = accepted.job_id();
    assert_eq!(accepted.header("location"), format!("/v1/jobs/{number}"));
    // An impatient guest who orders again at the other window has one meal coming, not two.
    let again = window.send(Method::POST, "/v1/jobs", &headers, order.to_string()).await;
    assert_eq!((again.job_id(), again.header("idempotency-replayed")), (number.clone(), "true"));

    for place in [&counter, &window, &counter] {
        assert_eq!(visit(place, &number).await["status"], "queued");
    }
    cluster.worker("cook");
    let (mut cooking, mut version) = (Vec::new(), 0);
    until("the meal", Duration::from_secs(30), async || {
        let job = visit(&window, &number).await;
        assert!(job["version"].as_i64().unwrap() >= version, "{job}");
        version = job["version"].as_i64().unwrap();
        if job["status"] == "in_progress" {
            assert!(pager.heard().is_empty(), "it buzzed before the meal was ready");
            cooking.push(job["progress"]["percent"].clone());
        }
        job["done"] == true
    })
    .await;
    cooking.dedup();
    assert!(cooking.len() > 1, "nobody saw it cook: {cooking:?}");

    // The pager names the order, and whoever comes then is served.
    let buzz = &pager.until(1).await[0];
    assert_eq!((buzz.event().as_str(), &buzz.json()["data"]["id"]), ("job.succeeded", &json!(number)));
    for _ in 0..2 {
        let meal = counter.send(Method::GET, &format!("/v1/jobs/{number}/result"), &[], "").await;
        assert_eq!(meal.status, 200, "{}", meal.json());
        assert_eq!((&meal.json()["order"], &meal.json()["dish"]), (&json!(number), &json!("ramen")));
    }
    until("the pager to be hung up", Duration::from_secs(10), async || {
        counter.job(&number).await["webhook"]["state"] == "delivered"
    })
    .await;
    assert_eq!(pager.heard().len(), 1);
    cluster.assert_nothing_is_left().await;
}
