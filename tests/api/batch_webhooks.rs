//! `batch.completed`: what a receiver hears of a batch, and what clients see of that.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::webhooks::{SECRET, settings, signature};
use super::{JSON, assert_problem, get};
use crate::harness::client::{Answer, Client};
use crate::harness::receiver::{Heard, Receiver, Reply};
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

async fn on_each_store(work: Work) -> [Served; 2] {
    let settings = settings(&[]);
    [Served::with(work, &settings).await, Served::on_postgres(work, &settings).await]
}

async fn submit(client: &Client, body: &Value) -> Answer {
    client.send(Method::POST, "/v1/batches", &[JSON], body.to_string()).await
}

/// Waits until the batch's webhook has come to a state after so many attempts; answers the batch and its entity tag.
async fn until_told(client: &Client, path: &str, state: &str, attempts: u32) -> (Value, String) {
    let mut seen = None;
    until(&format!("{path} to be {state} after {attempts} attempts"), PATIENCE, async || {
        let answer = get(client, path, &[]).await;
        let batch = answer.json();
        let there = batch["webhook"]["state"] == state && batch["webhook"]["attempts"] == attempts;
        seen = Some((batch, answer.header("etag").to_owned()));
        there
    })
    .await;
    seen.unwrap()
}

#[tokio::test]
async fn the_end_of_a_batch_is_told_until_it_is_taken_with_a_signature_that_can_be_checked() {
    let in_trouble = |before: usize, heard: &Heard| match heard.event().as_str() {
        "batch.completed" if before < 2 => Reply::Status(500),
        _ => Reply::Status(204),
    };
    for served in on_each_store(Work::Worker).await {
        let (client, whole) = (&served.client, Receiver::start(in_trouble).await);
        let part = Receiver::answering(200).await;
        let own = json!({"url": part.url(), "events": ["job.succeeded"]});
        let jobs = json!([{"kind": "echo", "webhook": own}, {"kind": "failing"}, {"kind": "nobody"}]);
        let answer = submit(client, &json!({"jobs": jobs, "webhook": {"url": whole.url()}})).await;
        assert_eq!(answer.status, 207);
        let path = answer.header("location").to_owned();
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let (batch, tag) = until_told(client, &path, "delivered", 3).await;
        assert_eq!(batch["webhook"], json!({"state": "delivered", "attempts": 3, "last_status": 204}));

        let heard = whole.heard();
        assert_eq!(heard.len(), 3, "its own end and none of its jobs'");
        let (last, told) = (&heard[2], heard[2].json());
        assert_eq!(last.header("webhook-signature"), signature(last, SECRET));
        assert!(heard.iter().all(|it| it.header("webhook-id") == format!("{id}_0") && it.body == last.body));
        assert_eq!((&told["type"], &told["timestamp"]), (&json!("batch.completed"), &batch["finished_at"]));
        let mut expected = batch.clone();
        expected["webhook"] = Value::Null;
        assert_eq!(told["data"], expected, "as it is read, but for what became of this very delivery");
        assert_eq!(part.until(1).await[0].event(), "job.succeeded", "an item keeps its own");

        let page = get(client, batch["links"]["deliveries"].as_str().unwrap(), &[]).await.json();
        let [delivery] = <[Value; 1]>::try_from(page["deliveries"].as_array().unwrap().clone()).unwrap();
        assert_eq!((&delivery["batch_id"], &delivery["job_id"]), (&json!(id), &Value::Null));
        assert_eq!((&delivery["url"], &delivery["event"]), (&json!(whole.url()), &json!("batch.completed")));
        let again = client.send(Method::POST, delivery["links"]["redeliver"].as_str().unwrap(), &[], "").await;
        assert_eq!((again.status, &again.json()["id"]), (202, &delivery["id"]));
        let (_, changed) = until_told(client, &path, "delivered", 4).await;
        assert_ne!(tag, changed, "one tag never means two bodies");
        assert_eq!(whole.heard()[3].body, last.body);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_canceled_batch_tells_of_itself_and_of_those_of_its_jobs_that_are_told() {
    for served in on_each_store(Work::Nobody).await {
        let receiver = Receiver::answering(200).await;
        let webhook = json!({"url": receiver.url()});
        let told = json!({"kind": "echo", "webhook": webhook});
        let jobs = json!([told, {"kind": "echo"}, told]);
        let answer = submit(&served.client, &json!({"jobs": jobs, "webhook": webhook})).await;
        let path = answer.header("location");
        let none = get(&served.client, &format!("{path}/deliveries"), &[]).await.json();
        assert_eq!(none["deliveries"], json!([]), "it has not ended");
        let canceled = served.client.send(Method::POST, &format!("{path}/cancel"), &[], "").await;
        // The receiver may have been told before the answer was read.
        let state = canceled.json()["webhook"]["state"].clone();
        assert!(canceled.status == 200 && (state == "pending" || state == "delivered"), "{state}");
        until_told(&served.client, path, "delivered", 1).await;
        let mut events: Vec<String> = receiver.until(3).await.iter().map(Heard::event).collect();
        events.sort();
        assert_eq!(events, ["batch.completed", "job.canceled", "job.canceled"]);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_batch_that_cannot_be_told_is_refused_whole_before_anything_is_kept() {
    let served = Served::with(Work::Nobody, &settings(&[])).await;
    for (webhook, code, pointer) in [
        (json!({"url": "https://10.0.0.1/"}), "webhook-url-rejected", "/webhook/url"),
        (json!({"url": "https://nobody.invalid/"}), "webhook-url-rejected", "/webhook/url"),
        (json!({"url": "http://127.0.0.1:9/", "events": ["job.failed"]}), "input-invalid", "/webhook/events/0"),
        (json!({"url": "http://127.0.0.1:9/", "secret": 1}), "input-invalid", "/webhook/secret"),
        (json!({"events": []}), "input-invalid", "/webhook/url"),
        (json!(7), "input-invalid", "/webhook"),
    ] {
        for validate_only in [false, true] {
            let body = json!({"jobs": [{"kind": "echo"}], "webhook": webhook, "validate_only": validate_only});
            let answer = submit(&served.client, &body).await;
            assert_eq!(assert_problem(&answer, 422, code), [pointer], "{webhook}");
        }
    }
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"], json!([]));
    let plain = submit(&served.client, &json!({"jobs": [{"kind": "echo"}]})).await;
    let plain = get(&served.client, plain.header("location"), &[]).await.json();
    assert_eq!(plain["webhook"], Value::Null);
    let deliveries = get(&served.client, plain["links"]["deliveries"].as_str().unwrap(), &[]).await;
    assert_eq!(deliveries.json()["deliveries"], json!([]));
    let unknown = format!("/v1/batches/{}/deliveries", raincheck_shared::lifecycle::IdSource.batch());
    assert_problem(&get(&served.client, &unknown, &[]).await, 404, "batch-not-found");
    assert!(served.stop().await);
}

#[tokio::test]
async fn the_same_batch_with_the_same_key_is_told_once() {
    for served in on_each_store(Work::Worker).await {
        let receiver = Receiver::answering(200).await;
        let body = json!({"jobs": [{"kind": "echo"}], "webhook": {"url": receiver.url()}});
        let send = async |body: &Value| {
            let headers = [JSON, ("idempotency-key", "whole")];
            served.client.send(Method::POST, "/v1/batches", &headers, body.to_string()).await
        };
        let first = send(&body).await;
        until_told(&served.client, first.header("location"), "delivered", 1).await;
        let again = send(&body).await;
        assert_eq!(
            (again.header("idempotency-replayed"), again.header("location")),
            ("true", first.header("location"))
        );
        assert_problem(&send(&json!({"jobs": [{"kind": "echo"}]})).await, 422, "idempotency-key-reused");
        assert_eq!(receiver.heard().len(), 1);
        assert!(served.stop().await);
    }
}
