//! What users of other systems of this sort stumbled over, one test for each, named after it. `docs/pitfalls.md` is the
//! table.

use std::time::Duration;

use raincheck_shared::lifecycle::{Clock as _, SystemClock};
use reqwest::Method;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::webhooks::settings;
use super::{JSON, assert_problem, get, post_job};
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::receiver::{Heard, Receiver, Reply};
use crate::harness::room;
use crate::harness::served::{Served, Work};
use crate::harness::temp::TempFolder;
use crate::harness::wait::until;

async fn until_status(served: &Served, id: &str, status: &str) {
    until(status, Duration::from_secs(15), async || served.client.job(id).await["status"] == status).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_404_right_after_202() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, "");
    let replicas = [cluster.api("a").await, cluster.api("b").await, cluster.api("c").await];
    for n in 0..30 {
        let path = format!("/v1/jobs/{}", replicas[n % 3].submit("echo", &json!(n)).await);
        for replica in &replicas {
            assert_eq!(get(replica, &path, &[]).await.status, 200, "asked at once, wherever");
        }
    }
}

#[tokio::test]
async fn pitfall_failure_hidden_in_completed() {
    let served = Served::working().await;
    let failed = served.client.done(&served.client.submit("failing", &json!(1)).await).await;
    assert_eq!((&failed["status"], &failed["done"], &failed["result"]), (&json!("failed"), &json!(true), &json!(null)));
    assert_eq!(failed["error"]["code"], "handler-error");
    assert!(failed["error"]["detail"].as_str().unwrap().contains("it said no"), "its own words: {}", failed["error"]);
    let id = failed["id"].as_str().unwrap();
    assert_problem(&get(&served.client, &format!("/v1/jobs/{id}/result"), &[]).await, 409, "job-failed");
    let succeeded = get(&served.client, "/v1/jobs?status=succeeded", &[]).await.json();
    assert_eq!(succeeded["jobs"], json!([]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_result_gone_after_one_read() {
    let served = Served::working().await;
    let id = served.client.submit("echo", &json!({"kept": true})).await;
    served.client.done(&id).await;
    for _ in 0..3 {
        assert_eq!(served.client.job(&id).await["result"]["value"], json!({"kept": true}));
        let result = get(&served.client, &format!("/v1/jobs/{id}/result"), &[]).await;
        assert_eq!((result.status, result.json()), (200, json!({"kept": true})));
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_retried_post_runs_twice() {
    let folder = TempFolder::new("raincheck-pitfall");
    let runs = folder.0.join("runs");
    let served = Served::working().await;
    let key = [("idempotency-key", "order-42")];
    let body = json!({"kind": "counted", "input": runs});
    let sends = (0..8).map(|_| post_job(&served.client, &body, &key));
    let answers = futures_util::future::join_all(sends).await;
    let id = answers[0].job_id();
    assert!(answers.iter().all(|answer| answer.job_id() == id));
    served.client.done(&id).await;
    // Also once it has ended.
    let again = post_job(&served.client, &body, &key).await;
    assert_eq!((again.status, again.job_id(), again.header("idempotency-replayed")), (200, id, "true"));
    let other = post_job(&served.client, &body, &[("idempotency-key", "order-43")]).await;
    served.client.done(&other.job_id()).await;
    assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), 2, "once for each key");
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_replay_ignores_a_changed_payload() {
    let served = Served::idle().await;
    let key = [("idempotency-key", "order-42")];
    let first = post_job(&served.client, &json!({"kind": "echo", "input": {"amount": 1}}), &key).await;
    for changed in [
        json!({"kind": "echo", "input": {"amount": 2}}),
        json!({"kind": "apart", "input": {"amount": 1}}),
        json!({"kind": "echo", "input": {"amount": 1}, "priority": 9}),
        json!({"kind": "echo", "input": {"amount": 1}, "metadata": {"a": "b"}}),
    ] {
        let refused = post_job(&served.client, &changed, &key).await;
        assert_problem(&refused, 422, "idempotency-key-reused");
        assert_eq!(refused.json()["job_id"], first.job_id(), "{changed}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_links_with_an_internal_host() {
    let served = Served::with(Work::Nobody, &[("http.allowed_hosts", "jobs-7f9c.internal")]).await;
    let body = json!({"kind": "echo"});
    for headers in [&[][..], &[("host", "jobs-7f9c.internal:8080")]] {
        let answer = post_job(&served.client, &body, headers).await;
        assert_eq!(answer.header("location"), format!("/v1/jobs/{}", answer.job_id()));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("internal") && !text.contains("127.0.0.1") && !text.contains("http:"), "{text}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_forwarded_header_trust() {
    let served = Served::with(Work::Nobody, &[("http.public_url", "https://jobs.example.com")]).await;
    let lies = [
        ("forwarded", "for=10.0.0.1;host=evil.example;proto=http"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "/livez"),
        ("x-rewrite-url", "/livez"),
        ("x-http-method-override", "DELETE"),
    ];
    let answer = post_job(&served.client, &json!({"kind": "echo"}), &lies).await;
    assert_eq!(answer.status, 202);
    let own = format!("https://jobs.example.com/v1/jobs/{}", answer.job_id());
    assert_eq!(answer.header("location"), own);
    let links = answer.json()["links"].clone();
    for link in links.as_object().unwrap().values() {
        assert!(link.is_null() || link.as_str().unwrap().starts_with(&own), "{links}");
    }
    let list = get(&served.client, "/v1/jobs?limit=1", &lies).await;
    assert!(!String::from_utf8_lossy(&list.body).contains("evil"));
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_sse_subscriber_who_came_late() {
    let served = Served::working().await;
    let id = served.client.submit("echo", &json!("soup")).await;
    served.client.done(&id).await;
    for _ in 0..2 {
        let events = served.client.events(&id, None).await.rest().await;
        let last = events.last().unwrap();
        assert_eq!((last.name.as_str(), &last.json()["result"]["value"]), ("done", &json!("soup")));
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_cancel_overwritten_by_a_late_finish() {
    // It is told to stop, and comes to an end all the same.
    let served = Served::working().await;
    let id = served.client.submit("stubborn", &json!(1)).await;
    until_status(&served, &id, "in_progress").await;
    let asked = served.client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[JSON], "{}").await;
    assert_eq!(asked.status, 202);
    let ended = served.client.done(&id).await;
    assert_eq!((&ended["status"], &ended["result"]), (&json!("canceled"), &json!(null)));
    let still = served.client.job(&id).await;
    assert_eq!((&still["status"], &still["version"]), (&json!("canceled"), &ended["version"]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_time_to_live_kills_running_work() {
    let served = Served::working().await;
    let body = json!({
        "kind": "sleep", "input": {"seconds": 2.5}, "timeouts": {"start": "1s"}, "retention": {"result": "1s"},
    });
    let id = post_job(&served.client, &body, &[]).await.job_id();
    let deadline = (SystemClock.now() + Duration::from_secs(1)).format(&Rfc3339).unwrap();
    let other = json!({"kind": "sleep", "input": {"seconds": 2.5}, "deadline": deadline});
    let other = post_job(&served.client, &other, &[]).await.job_id();
    for id in [&id, &other] {
        assert_eq!(served.client.done(id).await["status"], "succeeded", "it had started in time");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_batch_partial_output_dropped() {
    let served = Served::working().await;
    let body = json!({ "jobs": [{"kind": "echo", "input": "kept"}, {"kind": "failing"}, {"kind": "nope"}] });
    let answer = served.client.send(Method::POST, "/v1/batches", &[JSON], body.to_string()).await;
    assert_eq!(answer.status, 207, "what can be done is done");
    let whole = answer.json();
    let id = |n: usize| whole["items"][n]["job"]["id"].as_str().unwrap().to_owned();
    let (good, bad) = (served.client.done(&id(0)).await, served.client.done(&id(1)).await);
    assert_eq!((&good["status"], &good["result"]["value"]), (&json!("succeeded"), &json!("kept")));
    assert_eq!(bad["status"], "failed");
    let result = get(&served.client, &format!("/v1/jobs/{}/result", id(0)), &[]).await;
    assert_eq!((result.status, result.json()), (200, json!("kept")), "although its neighbour failed");
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_webhook_lost_on_301() {
    let elsewhere = Receiver::answering(200).await;
    let moved = format!("HTTP/1.1 301 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let receiver = Receiver::start(move |before, _| match before {
        0 | 1 => Reply::Raw(moved.clone()),
        _ => Reply::Status(200),
    })
    .await;
    let served = Served::with(Work::Worker, &settings(&[])).await;
    let body = json!({"kind": "echo", "input": 1, "webhook": {"url": receiver.url()}});
    let id = post_job(&served.client, &body, &[]).await.job_id();
    let heard = receiver.until(3).await;
    assert!(heard.iter().all(|it| it.json()["data"]["id"] == id.as_str() && it.event() == "job.succeeded"));
    until("it to be taken", Duration::from_secs(15), async || {
        served.client.job(&id).await["webhook"] == json!({"state": "delivered", "attempts": 3, "last_status": 200})
    })
    .await;
    assert!(elsewhere.heard().is_empty(), "whoever it was moved to was never looked at");
    assert!(served.stop().await);
}

#[tokio::test]
async fn pitfall_out_of_order_webhook_undecidable() {
    // The start is told late: its first attempt finds a receiver in trouble, and the end passes it.
    let receiver = Receiver::start(|before, heard| match heard.event().as_str() {
        "job.started" if before == 0 => Reply::Status(500),
        _ => Reply::Status(200),
    })
    .await;
    let served = Served::with(Work::Worker, &settings(&[("webhooks.retries", "1s,1s,1s")])).await;
    let events = ["job.started", "job.succeeded"];
    let body =
        json!({"kind": "sleep", "input": {"seconds": 0.4}, "webhook": {"url": receiver.url(), "events": events}});
    let id = post_job(&served.client, &body, &[]).await.job_id();
    let heard = receiver.until(3).await;
    let order: Vec<String> = heard.iter().map(Heard::event).collect();
    assert_eq!(order, ["job.started", "job.succeeded", "job.started"], "out of order");

    // What docs/webhooks.md tells receivers to do, and nothing else: ignore what is not newer than what you have.
    let (mut version, mut status) = (0, json!(null));
    for it in heard {
        let data = &it.json()["data"];
        if data["version"].as_i64().unwrap() > version {
            (version, status) = (data["version"].as_i64().unwrap(), data["status"].clone());
        }
    }
    let job = served.client.job(&id).await;
    assert_eq!((json!(version), &status), (job["version"].clone(), &json!("succeeded")));
    assert!(served.stop().await);
}
