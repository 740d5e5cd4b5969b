//! Webhooks: what receivers hear, and what clients see of it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{assert_problem, get, post_job};
use crate::harness::client::Client;
use crate::harness::receiver::{Heard, Receiver, Reply};
use crate::harness::served::{Served, Work};
use crate::harness::wait::{now, until};

pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// The key of RFC 8037, appendix A.
pub(super) const SIGNING_KEY: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PATIENCE: Duration = Duration::from_secs(20);

/// One that may tell receivers on this machine, soon and again soon.
pub(super) async fn served(work: Work, more: &[(&str, &str)]) -> Served {
    Served::with(work, &settings(more)).await
}

/// The settings of one.
pub(in crate::api) fn settings<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut settings = vec![
        ("webhooks.secrets.default", SECRET),
        ("webhooks.allow", "127.0.0.1"),
        ("webhooks.allow_http", "true"),
        ("webhooks.timeout", "1s"),
        ("webhooks.retries", "20ms,40ms,60ms"),
        ("upkeep.deliveries", "50ms"),
    ];
    settings.extend(more);
    settings
}

/// Submits a job whose ends (or `events`) are told to `url`; answers its id.
async fn submit(client: &Client, kind: &str, input: Value, url: &str, events: &[&str]) -> String {
    let body = json!({"kind": kind, "input": input, "webhook": {"url": url, "events": events}});
    let answer = post_job(client, &body, &[]).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.job_id()
}

/// Waits until the job's webhook has come to a state; answers the job.
pub(super) async fn until_webhook(client: &Client, id: &str, state: &str) -> Value {
    let mut job = Value::Null;
    until(&format!("the webhook of {id} to be {state}"), PATIENCE, async || {
        job = client.job(id).await;
        job["webhook"]["state"] == state
    })
    .await;
    job
}

pub(super) async fn deliveries(client: &Client, id: &str) -> Vec<Value> {
    let answer = get(client, &format!("/v1/jobs/{id}/deliveries"), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["deliveries"].as_array().unwrap().clone()
}

fn statuses(delivery: &Value) -> Vec<&Value> {
    delivery["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["status"]).collect()
}

/// HMAC-SHA256 as RFC 2104 has it, from nothing but the hash: not the code that signs.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::digest([&block.map(|b| b ^ 0x36)[..], message].concat());
    Sha256::digest([&block.map(|b| b ^ 0x5c)[..], &inner[..]].concat()).to_vec()
}

pub(super) fn signature(heard: &Heard, secret: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, time) = (heard.header("webhook-id"), heard.header("webhook-timestamp"));
    let signed = [format!("{id}.{time}.").as_bytes(), &heard.body].concat();
    format!("v1,{}", STANDARD.encode(hmac(&key, &signed)))
}

#[tokio::test]
async fn an_end_is_told_once_with_the_whole_job_and_a_signature_that_can_be_checked() {
    let receiver = Receiver::answering(204).await;
    let served = served(Work::Worker, &[]).await;
    let id = submit(&served.client, "echo", json!({"a": 1}), &receiver.url(), &[]).await;
    let job = until_webhook(&served.client, &id, "delivered").await;
    assert_eq!(job["webhook"], json!({"state": "delivered", "attempts": 1, "last_status": 204}));

    let heard = receiver.heard();
    assert_eq!(heard.len(), 1);
    let (heard, told) = (&heard[0], heard[0].json());
    assert_eq!(heard.header("webhook-signature"), signature(heard, SECRET));
    assert_eq!(heard.header("webhook-id"), format!("{id}_{}", job["version"]));
    assert_eq!((&told["type"], &told["timestamp"]), (&json!("job.succeeded"), &job["finished_at"]));
    let mut expected = job.clone();
    expected["webhook"] = Value::Null;
    assert_eq!(told["data"], expected, "the Job as it is read, but for what became of this very delivery");

    let [delivery] = <[Value; 1]>::try_from(deliveries(&served.client, &id).await).unwrap();
    assert_eq!((&delivery["state"], &delivery["event"]), (&json!("delivered"), &json!("job.succeeded")));
    assert_eq!((&delivery["url"], &delivery["next_attempt_at"]), (&json!(receiver.url()), &Value::Null));
    assert_eq!(statuses(&delivery), [204]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn an_end_is_told_at_once_and_not_when_the_loop_looks_again() {
    let receiver = Receiver::answering(204).await;
    let served = served(Work::Worker, &[("upkeep.deliveries", "1d")]).await;
    // More than one, with pauses between: no look at the start can have found them all.
    for n in 1..=3 {
        let id = submit(&served.client, "echo", json!(n), &receiver.url(), &[]).await;
        until_webhook(&served.client, &id, "delivered").await;
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_receiver_in_trouble_hears_the_same_again_on_the_schedule() {
    let receiver = Receiver::start(|before, _| match before {
        0 => Reply::Status(500),
        1 => Reply::Raw("HTTP/1.1 503 Busy\r\ncontent-length: 9\r\nretry-after: 1\r\n\r\nnot now\0!".to_owned()),
        2 => Reply::Raw("HTTP/1.1 301 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_owned()),
        _ => Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of".to_owned()),
    })
    .await;
    let served = served(Work::Worker, &[]).await;
    let id = submit(&served.client, "echo", json!(1), &receiver.url(), &[]).await;
    let job = until_webhook(&served.client, &id, "delivered").await;
    assert_eq!(job["webhook"], json!({"state": "delivered", "attempts": 4, "last_status": 200}));

    let heard = receiver.heard();
    assert_eq!(heard.len(), 4);
    assert!(heard.iter().all(|it| it.target == "/in"), "a redirect is not followed");
    assert!(
        heard.iter().all(|it| it.body == heard[0].body && it.header("webhook-id") == heard[0].header("webhook-id"))
    );
    let delivery = deliveries(&served.client, &id).await.remove(0);
    assert_eq!(statuses(&delivery), [500, 503, 301, 200]);
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts[1]["response"], "not now\u{fffd}!");
    assert_eq!(attempts[2]["error"], "the receiver answered 301 (redirects are not followed)");
    assert_eq!((&attempts[3]["response"], &attempts[3]["error"]), (&json!("half of"), &Value::Null));
    let at = |n: usize| attempts[n]["at"].as_str().unwrap().parse::<String>().unwrap();
    let seconds =
        |n: usize| time::OffsetDateTime::parse(&at(n), &time::format_description::well_known::Rfc3339).unwrap();
    assert!(seconds(1) - seconds(0) >= Duration::from_millis(18), "the first pause");
    assert!(seconds(2) - seconds(1) >= Duration::from_millis(990), "Retry-After makes the second pause longer");
    assert!(served.stop().await);
}

#[tokio::test]
async fn after_the_last_pause_a_delivery_has_failed_until_somebody_asks_for_it_again() {
    let receiver = Receiver::start(|before, _| Reply::Status(if before < 4 { 500 } else { 200 })).await;
    let served = served(Work::Worker, &[]).await;
    let id = submit(&served.client, "echo", json!(1), &receiver.url(), &[]).await;
    let job = until_webhook(&served.client, &id, "failed").await;
    assert_eq!(job["webhook"], json!({"state": "failed", "attempts": 4, "last_status": 500}));
    let delivery = deliveries(&served.client, &id).await.remove(0);

    let path = delivery["links"]["redeliver"].as_str().unwrap();
    let again = served.client.send(Method::POST, path, &[], "").await;
    assert_eq!(again.status, 202, "{}", again.json());
    assert_eq!((&again.json()["id"], &again.json()["state"]), (&delivery["id"], &json!("pending")));
    let job = until_webhook(&served.client, &id, "delivered").await;
    assert_eq!(job["webhook"], json!({"state": "delivered", "attempts": 5, "last_status": 200}));
    let heard = receiver.heard();
    assert_eq!(heard.len(), 5);
    assert!(
        heard.iter().all(|it| it.body == heard[0].body && it.header("webhook-id") == heard[0].header("webhook-id"))
    );
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_receiver_that_says_gone_is_left_alone() {
    let receiver = Receiver::answering(410).await;
    let served = served(Work::Worker, &[]).await;
    let id = submit(&served.client, "echo", json!(1), &receiver.url(), &[]).await;
    let job = until_webhook(&served.client, &id, "failed").await;
    assert_eq!(job["webhook"], json!({"state": "failed", "attempts": 1, "last_status": 410}));
    assert_eq!(deliveries(&served.client, &id).await[0]["next_attempt_at"], Value::Null);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_receiver_that_was_down_hears_once_it_is_up() {
    let address = Receiver::answering(200).await.address.clone();
    let served =
        served(Work::Worker, &[("webhooks.retries", "100ms,100ms,100ms,100ms,100ms,200ms,400ms,800ms,2s,5s,5s")]).await;
    let id = submit(&served.client, "failing", json!(1), &format!("http://{address}/in"), &[]).await;
    until("an attempt that finds nobody", PATIENCE, async || {
        served.client.job(&id).await["webhook"]["attempts"].as_i64().unwrap() >= 2
    })
    .await;
    let receiver = Receiver::at(&address, |_, _| Reply::Status(200)).await;
    until_webhook(&served.client, &id, "delivered").await;
    assert_eq!(receiver.heard()[0].event(), "job.failed");
    let delivery = deliveries(&served.client, &id).await.remove(0);
    let first = &delivery["attempts"][0];
    assert_eq!((&first["status"], &first["response"]), (&Value::Null, &Value::Null));
    assert!(first["error"].as_str().unwrap().starts_with("cannot connect"), "{first}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_other() {
    let (dead, well) = (Receiver::start(|_, _| Reply::Silence).await, Receiver::answering(200).await);
    let few = [("webhooks.concurrency", "4"), ("webhooks.per_receiver", "2"), ("webhooks.timeout", "5s")];
    let served = served(Work::Worker, &few).await;
    let dead_url = dead.url();
    for _ in 0..12 {
        submit(&served.client, "echo", json!(1), &dead_url, &[]).await;
    }
    dead.until(1).await;
    let began = now();
    for _ in 0..12 {
        submit(&served.client, "echo", json!(1), &well.url(), &[]).await;
    }
    well.until(12).await;
    assert!(began.elapsed() < Duration::from_secs(4), "before the dead one's first timeout: {:?}", began.elapsed());
    assert_eq!(dead.heard().len(), 1, "one at a time, until it answers");
    assert!(served.stop().await);
}

#[tokio::test]
async fn two_events_of_one_job_are_put_in_order_by_their_versions() {
    let receiver = Receiver::answering(200).await;
    let served = served(Work::Worker, &[]).await;
    let events = ["job.started", "job.progress", "job.succeeded"];
    let id = submit(&served.client, "takeaway", json!({"dish": "soup"}), &receiver.url(), &events).await;
    served.client.done(&id).await;
    until_webhook(&served.client, &id, "delivered").await;
    until("all that is pending to be told", PATIENCE, async || {
        deliveries(&served.client, &id).await.iter().all(|delivery| delivery["state"] != "pending")
    })
    .await;
    let mut heard = receiver.heard();
    let version = |it: &Heard| it.json()["data"]["version"].as_i64().unwrap();
    heard.sort_by_key(|it| (version(it), it.event() != "job.started"));
    let told: Vec<String> = heard.iter().map(Heard::event).collect();
    assert_eq!(told.first().map(String::as_str), Some("job.started"), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("job.succeeded"), "{told:?}");
    assert!(told.iter().any(|event| event == "job.progress"), "{told:?}");
    assert_eq!(told.iter().filter(|event| *event == "job.succeeded").count(), 1);
    assert!(served.stop().await);
}

#[tokio::test]
async fn while_secrets_change_there_is_a_signature_for_each_and_one_that_needs_no_secret() {
    let receiver = Receiver::answering(200).await;
    let both = format!("{SECRET},{OLD_SECRET}");
    let keys = [("webhooks.secrets.default", both.as_str()), ("webhooks.signing_keys", SIGNING_KEY)];
    let served = served(Work::Worker, &keys).await;
    submit(&served.client, "echo", json!(1), &receiver.url(), &[]).await;
    let heard = receiver.until(1).await.remove(0);
    let signatures: Vec<&str> = heard.header("webhook-signature").split(' ').collect();
    assert_eq!(signatures[..2], [signature(&heard, SECRET), signature(&heard, OLD_SECRET)]);
    assert!(signatures[2].starts_with("v1a,"), "{signatures:?}");
    assert_eq!(STANDARD.decode(signatures[2].trim_start_matches("v1a,")).unwrap().len(), 64);

    let keys = get(&served.client, "/.well-known/jwks.json", &[]).await;
    let expected = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    }]});
    assert_eq!((keys.status, keys.json()), (200, expected));
    assert_eq!(URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap().len(), 32);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_result_that_does_not_fit_is_left_out_and_its_url_stands_there() {
    let receiver = Receiver::answering(200).await;
    let served = served(Work::Worker, &[("jobs.inline_result", "64KiB")]).await;
    let input = json!("x".repeat(30_000));
    let id = submit(&served.client, "echo", input.clone(), &receiver.url(), &[]).await;
    let heard = receiver.until(1).await.remove(0);
    assert!(heard.body.len() <= 20_000, "{}", heard.body.len());
    let result = &heard.json()["data"]["result"];
    assert_eq!((&result["value"], &result["url"]), (&Value::Null, &json!(format!("/v1/jobs/{id}/result"))));
    assert_eq!(served.client.job(&id).await["result"]["value"], input);
    assert!(served.stop().await);
}

#[tokio::test]
async fn the_entity_tag_changes_with_the_webhook_and_the_version_does_not() {
    let receiver = Receiver::start(|before, _| Reply::Status(if before == 0 { 500 } else { 200 })).await;
    let served = served(Work::Nobody, &[("webhooks.retries", "1h")]).await;
    let id = submit(&served.client, "echo", json!(1), &receiver.url(), &[]).await;
    let read = async |tag: &str| get(&served.client, &format!("/v1/jobs/{id}"), &[("if-none-match", tag)]).await;
    assert_eq!(read("\"0\"").await.header("etag"), "\"1\"");
    served.client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await;
    let told = async |attempts: i64| {
        until("the attempt to be recorded", PATIENCE, async || {
            served.client.job(&id).await["webhook"]["attempts"] == attempts
        })
        .await;
    };
    told(1).await;
    let once = read("\"2\"").await;
    assert_eq!((once.status, once.header("etag"), &once.json()["version"]), (200, "\"2.1\"", &json!(2)));
    assert_eq!(read("\"2.1\"").await.status, 304);
    let delivery = format!("/v1/deliveries/{id}_2/redeliver");
    assert_eq!(served.client.send(Method::POST, &delivery, &[], "").await.status, 202);
    told(2).await;
    let twice = read("\"2.1\"").await;
    assert_eq!((twice.status, twice.header("etag")), (200, "\"2.3\""), "asked for again, and told");
    assert_eq!(twice.json()["webhook"]["state"], "delivered");
    assert!(served.stop().await);
}

#[tokio::test]
async fn deliveries_of_nothing_are_not_found() {
    let served = served(Work::Nobody, &[]).await;
    let id = served.client.submit("echo", &json!(1)).await;
    assert_eq!(get(&served.client, &format!("/v1/jobs/{id}/deliveries"), &[]).await.json()["deliveries"], json!([]));
    let unknown = "0192f0c1-2345-7abc-8def-0123456789ab";
    let redeliver =
        async |id: &str| served.client.send(Method::POST, &format!("/v1/deliveries/{id}/redeliver"), &[], "").await;
    assert_problem(&redeliver(&format!("{id}_1")).await, 404, "delivery-not-found");
    assert_problem(&redeliver(&format!("{unknown}_1")).await, 404, "delivery-not-found");
    assert_problem(&redeliver("nonsense").await, 400, "malformed-request");
    let list = get(&served.client, &format!("/v1/jobs/{id}/deliveries?cursor=x"), &[]).await;
    assert_problem(&list, 400, "invalid-cursor");
    assert!(served.stop().await);
}
