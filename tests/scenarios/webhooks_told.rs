//! Webhooks are told whoever is killed between a job's end and its delivery.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, FAST_LEASES, shared_backends};
use crate::harness::receiver::{Heard, Receiver, Reply};
use crate::harness::room;

/// Whom it may tell: receivers on this machine.
pub(super) const WEBHOOKS: &str = r#"
[webhooks]
secrets = { default = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }
allow = ["127.0.0.1"]
allow_http = true
timeout = "2s"
retries = ["500ms", "1s", "1s", "1s", "1s"]
"#;

const DELIVERIES: &str = "SELECT count(*) FROM deliveries";
const PATIENCE: Duration = Duration::from_secs(30);

async fn submit(api: &Client, receiver: &Receiver) -> String {
    submit_to("echo", json!(1), api, receiver).await
}

async fn submit_to(kind: &str, input: Value, api: &Client, receiver: &Receiver) -> String {
    let body = json!({"kind": kind, "input": input, "webhook": {"url": receiver.url()}}).to_string();
    let answer = api.send(Method::POST, "/v1/jobs", &[("content-type", "application/json")], body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.job_id()
}

fn ids(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|it| it.header("webhook-id")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_api_and_worker_were_killed_between_its_end_and_its_delivery_is_told() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, &format!("{FAST_LEASES}{WEBHOOKS}"));
    let receiver = Receiver::answering(200).await;
    // The API dies while the job runs: the end is on record, and nobody has sent it.
    let first = cluster.api("first").await;
    cluster.worker("worker");
    let id = submit_to("sleep", json!({"seconds": 1.5}), &first, &receiver).await;
    cluster.until_count("SELECT count(*) FROM jobs WHERE status = 'in_progress'", 1, PATIENCE).await;
    cluster.process("first").kill();
    cluster.until_count(DELIVERIES, 1, PATIENCE).await;
    cluster.process("worker").kill();
    assert!(receiver.heard().is_empty(), "nobody has sent it yet");

    let api = cluster.api("next").await;
    let heard = receiver.until(1).await;
    assert_eq!((heard[0].event().as_str(), &heard[0].json()["data"]["id"]), ("job.succeeded", &json!(id)));
    let job = api.done(&id).await;
    assert_eq!(ids(&heard), [format!("{id}_{}", job["version"])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_whose_api_was_killed_in_its_midst_is_sent_again_with_the_same_id() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, &format!("{FAST_LEASES}{WEBHOOKS}"));
    let api = cluster.api("api").await;
    cluster.worker("worker");
    // It takes the request, and whoever sent it is dead before it is answered.
    let receiver = Receiver::start(|before, _| if before == 0 { Reply::Silence } else { Reply::Status(200) }).await;
    let id = submit(&api, &receiver).await;
    receiver.until(1).await;
    cluster.process("api").kill();

    // Another one takes it up once the hold of the dead one is over: the timeout of an attempt, and 15 s.
    let api = cluster.api("next").await;
    let heard = receiver.until(2).await;
    assert_eq!(ids(&heard)[0], ids(&heard)[1]);
    assert_eq!(heard[0].body, heard[1].body);
    let delivered = "SELECT count(*) FROM deliveries WHERE state = 'delivered'";
    cluster.until_count(delivered, 1, PATIENCE).await;
    assert_eq!(api.job(&id).await["webhook"]["attempts"], 1, "what the dead one did is not on record");
}
