//! `POST /v1/jobs` and `POST /v1/kinds/{kind}/jobs`.

use raincheck_shared::domain::{Body, Ended, LeaseId};
use reqwest::Method;
use serde_json::json;

use super::webhooks::settings;
use super::{JSON, assert_problem, get, post_job};
use crate::harness::served::{Served, Work};

#[tokio::test]
async fn a_job_is_accepted_and_can_be_read_at_once() {
    let served = Served::idle().await;
    let answer = post_job(&served.client, &json!({"kind": "echo", "input": {"a": 1}}), &[]).await;
    assert_eq!(answer.status, 202);
    let job = answer.json();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), path);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(answer.header("idempotency-replayed"), "false");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("vary").contains("Prefer"));
    assert_eq!((&job["status"], &job["done"], &job["version"]), (&json!("queued"), &json!(false), &json!(1)));

    let read = get(&served.client, &path, &[]).await;
    assert_eq!(read.status, 200);
    let mut read = read.json();
    // Only the jitter differs: what is answered at once is what was kept.
    for guess in ["poll_after_ms", "queue_position", "estimate"] {
        read[guess] = job[guess].clone();
    }
    assert_eq!(read, job);
    assert!(served.stop().await);
}

#[tokio::test]
async fn instants_are_answered_at_once_as_they_will_be_read() {
    let served = Served::idle().await;
    for when in [json!({"delay": "1h"}), json!({"run_at": "2098-01-01T00:00:00.123456789Z"})] {
        let mut body = json!({"kind": "echo", "deadline": "2099-01-01T00:00:00.987654999Z"});
        body.as_object_mut().unwrap().extend(when.as_object().unwrap().clone());
        let job = post_job(&served.client, &body, &[]).await.json();
        let read = served.client.job(job["id"].as_str().unwrap()).await;
        assert_eq!((&read["run_at"], &read["deadline"]), (&job["run_at"], &job["deadline"]));
        assert_eq!(read["deadline"], "2099-01-01T00:00:00.987654Z", "one entity tag, one look");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_job_has_the_shape_of_the_contract() {
    let served = Served::idle().await;
    let job = post_job(&served.client, &json!({"kind": "echo"}), &[]).await.json();
    let mut names: Vec<&str> = job.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut expected = vec![
        "id",
        "kind",
        "queue",
        "version",
        "status",
        "done",
        "created_at",
        "run_at",
        "started_at",
        "finished_at",
        "heartbeat_at",
        "attempt",
        "max_attempts",
        "next_attempt_at",
        "queue_position",
        "estimate",
        "progress",
        "poll_after_ms",
        "cancel",
        "concurrency_key",
        "result",
        "erased_at",
        "error",
        "attempts",
        "expires_at",
        "deadline",
        "webhook",
        "idempotency_key",
        "retry_of",
        "batch_id",
        "metadata",
        "tags",
        "trace_id",
        "links",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(served.stop().await);
}

#[tokio::test]
async fn every_option_is_kept() {
    let served = Served::idle().await;
    let body = json!({
        "kind": "echo", "input": [1], "queue": "apart", "priority": 9, "delay": "1h",
        "timeouts": {"start": "10m", "run": "5m"}, "deadline": "2099-12-01T13:00:00+01:00",
        "retention": {"result": "2d"}, "max_attempts": 7,
        "metadata": {"order": "42 ☂"}, "tags": ["march", "urgent"], "webhook": null,
    });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let job = post_job(&served.client, &body, &[("traceparent", trace)]).await.json();
    assert_eq!(job["status"], "scheduled");
    assert_eq!(job["queue"], "apart");
    assert_eq!(job["max_attempts"], 7);
    assert_eq!(job["deadline"], "2099-12-01T12:00:00Z");
    assert_eq!(job["metadata"], json!({"order": "42 ☂"}));
    assert_eq!(job["tags"], json!(["march", "urgent"]));
    assert_eq!(job["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(job["run_at"].is_string());
    // Nothing comes of it for an hour, so nobody is told to ask every second.
    assert!(job["poll_after_ms"].as_u64().unwrap() >= 20_000, "{}", job["poll_after_ms"]);
    let read = served.client.job(job["id"].as_str().unwrap()).await;
    for same in ["status", "queue", "max_attempts", "deadline", "metadata", "tags", "trace_id"] {
        assert_eq!(read[same], job[same], "{same}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn an_input_reaches_the_worker_byte_for_byte() {
    let served = Served::idle().await;
    let input = r#"{ "b":1.50, "a" : "\u00e4" }"#;
    let body = format!(r#"{{"kind":"echo","input":{input},"priority":1}}"#);
    let answer = super::post_text(&served.client, &body, &[]).await;
    assert_eq!(answer.status, 202);
    let raw = b"\x00\xff raw \r\n\r\n";
    let path = "/v1/kinds/echo/jobs?priority=1";
    let second = served.client.send(Method::POST, path, &[("content-type", "x-a/x-b; c=\"d\"")], raw.to_vec()).await;
    assert_eq!(second.status, 202);

    let worker = raincheck_shared::lifecycle::IdSource.worker();
    let lease = std::time::Duration::from_mins(1);
    let life = served.store.leases.register(worker, "test", lease, false).await.unwrap();
    let claim = raincheck_shared::store::Claim {
        worker,
        lease: LeaseId::new(raincheck_shared::lifecycle::IdSource.random()),
        dispatches: dispatches(&served).await,
    };
    let claimed = served.store.attempts.claim(claim).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let by_id = |id: &str| claimed.iter().find(|c| c.fence.job.to_string() == id).unwrap().input.clone();
    assert_eq!(by_id(&answer.job_id()).body, Body::Inline(input.into()));
    assert_eq!(by_id(&answer.job_id()).content_type, "application/json");
    assert_eq!(by_id(&second.job_id()).body, Body::Inline(raw.to_vec().into()));
    assert_eq!(by_id(&second.job_id()).content_type, "x-a/x-b; c=\"d\"");
    let ends: Vec<_> = claimed
        .iter()
        .map(|c| raincheck_shared::store::Finish {
            fence: c.fence,
            worker,
            ended: Ended::Released,
            lease_done: Some(c.lease),
        })
        .collect();
    served.store.attempts.finish(&ends).await.unwrap();
    life.end().await.unwrap();
    assert!(served.stop().await);
}

/// Messages about every job that waits, as a worker would receive them.
async fn dispatches(served: &Served) -> Vec<raincheck_shared::domain::Dispatch> {
    let queue: raincheck_shared::domain::QueueName = "default".parse().unwrap();
    let mut deliveries = served.broker.consumers.consume(&[queue], 10).await;
    let mut found = Vec::new();
    while found.len() < 2 {
        let delivery = deliveries.next().await.unwrap();
        found.push(delivery.dispatch);
        delivery.receipt.ack();
    }
    found
}

#[tokio::test]
async fn a_job_that_ends_within_the_wait_is_answered_with_its_end() {
    let served = Served::working().await;
    let prefer = [("prefer", "respond-async, wait=15")];
    let answer = post_job(&served.client, &json!({"kind": "echo", "input": {"a": [1.50]}}), &prefer).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("preference-applied"), "wait=15");
    assert_eq!(answer.header("retry-after"), "");
    assert!(answer.header("sunset").ends_with(" GMT"), "{:?}", answer.header("sunset"));
    let job = answer.json();
    assert_eq!((&job["status"], &job["done"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(job["result"]["value"], json!({"a": [1.5]}));
    assert_eq!(job["poll_after_ms"], json!(null));

    let failed = post_job(&served.client, &json!({"kind": "failing"}), &[("prefer", "wait=15")]).await;
    assert_eq!(failed.status, 200, "a job that failed was still answered well");
    let job = failed.json();
    assert_eq!(job["status"], "failed");
    assert!(job["error"]["code"].is_string() && job["error"]["message"].is_string());
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_wait_that_is_over_answers_202_and_is_cut_to_what_is_allowed() {
    let served = Served::with(Work::Nobody, &[("http.max_wait", "1s")]).await;
    let prefer = [("prefer", "respond-async, wait=3600")];
    let answer = post_job(&served.client, &json!({"kind": "echo"}), &prefer).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("preference-applied"), "respond-async, wait=1");
    assert!(served.stop().await);
}

#[tokio::test]
async fn options_of_a_raw_body_are_query_parameters() {
    let served = Served::working().await;
    let path = "/v1/kinds/echo/jobs?queue=apart&priority=0&tags=a%20b&tags=c&run_timeout=5s&max_attempts=2&wait=15s";
    let answer = served.client.send(Method::PUT, path, &[], vec![0_u8, 1, 2]).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let job = answer.json();
    assert_eq!(job["queue"], "apart");
    assert_eq!(job["tags"], json!(["a b", "c"]));
    assert_eq!(job["max_attempts"], 2);
    assert_eq!(job["result"]["content_type"], "application/octet-stream");
    assert_eq!(job["result"]["size"], 3);
    assert_eq!(job["result"]["value"], json!(null), "what is binary is not part of the Job");
    assert_eq!(job["result"]["url"], job["links"]["result"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn only_looking_keeps_nothing() {
    let served = Served::idle().await;
    let good = json!({"kind": "typed", "input": {"dish": "ramen"}, "validate_only": true});
    let answer = post_job(&served.client, &good, &[("idempotency-key", "k")]).await;
    assert_eq!(answer.status, 200);
    let plan = answer.json();
    for (name, value) in [
        ("valid", json!(true)),
        ("kind", json!("typed")),
        ("queue", json!("default")),
        ("priority", json!(5)),
        ("max_attempts", json!(3)),
        ("timeouts", json!({"run": "10m"})),
        ("retention", json!({"input": "7d", "result": "7d"})),
        ("input", json!({"content_type": "application/json", "size": 16})),
    ] {
        assert_eq!(plan[name], value, "{name}");
    }
    assert_eq!(plan["webhook"], json!(null));
    let path = "/v1/kinds/pictures/jobs?validate_only=true&priority=9&tag=a";
    let raw = served.client.send(Method::PUT, path, &[("content-type", "image/png")], vec![0; 3]).await;
    assert_eq!((raw.status, &raw.json()["priority"], &raw.json()["tags"]), (200, &json!(9), &json!(["a"])));
    let id = raincheck_shared::lifecycle::IdSource.job();
    let put = served.client.send(Method::PUT, &format!("/v1/jobs/{id}"), &[JSON], good.to_string()).await;
    assert_eq!((put.status, &put.json()["valid"]), (200, &json!(true)));
    let bad = json!({"kind": "typed", "input": {}, "validate_only": true});
    assert_eq!(assert_problem(&post_job(&served.client, &bad, &[]).await, 422, "input-invalid"), ["/input"]);
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"], json!([]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_full_queue_refuses_until_there_is_room() {
    let served = Served::with(Work::Nobody, &[("jobs.max_queued", "2")]).await;
    let body = json!({"kind": "echo"});
    for _ in 0..2 {
        assert_eq!(post_job(&served.client, &body, &[]).await.status, 202);
    }
    let refused = post_job(&served.client, &body, &[]).await;
    assert_problem(&refused, 503, "queue-full");
    assert_ne!(refused.header("retry-after"), "");
    let other = json!({"kind": "apart"});
    assert_eq!(post_job(&served.client, &other, &[]).await.status, 202, "another queue has room");
    let later = json!({"kind": "apart", "delay": "1h"});
    assert_eq!(post_job(&served.client, &later, &[]).await.status, 202);
    assert!(served.stop().await);
}

#[tokio::test]
async fn curl_may_ask_before_it_sends_a_large_body() {
    let served = Served::working().await;
    let head = "PUT /v1/kinds/echo/jobs?wait=15s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\
                expect: 100-continue\r\nconnection: close\r\n\r\n";
    let said = served.raw(format!("{head}hello").as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{said}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_request_id_is_taken_over_when_it_is_harmless() {
    let served = Served::idle().await;
    let sent = get(&served.client, "/v1/jobs", &[("x-request-id", "a-1_b.c:d")]).await;
    assert_eq!(sent.header("x-request-id"), "a-1_b.c:d");
    let made = get(&served.client, "/v1/jobs", &[("x-request-id", "a b<script>")]).await;
    assert_eq!(made.header("x-request-id").len(), 36);
    let typed = served.client.send(Method::POST, "/v1/kinds/typed/jobs", &[JSON], r#"{"dish":"soup"}"#).await;
    assert_eq!(typed.status, 202);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_plan_has_all_that_was_asked_for() {
    let served = Served::with(Work::Nobody, &settings(&[])).await;
    let url = "http://127.0.0.1:9/told";
    let mut body = json!({
        "kind": "echo", "webhook": {"url": url}, "retention": {"input": "1h"}, "timeouts": {"start": "10m"}, "validate_only": true,
    });
    let plan = post_job(&served.client, &body, &[]).await.json();
    assert_eq!(plan["retention"], json!({"input": "1h", "result": "7d"}));
    let ends = ["job.succeeded", "job.failed", "job.canceled", "job.expired"];
    assert_eq!(plan["webhook"], json!({"url": url, "events": ends}), "what is told is filled in");
    assert!(plan["start_by"].is_string());
    body["webhook"]["events"] = json!(["job.failed"]);
    let batch = json!({"jobs": [body]});
    let batch = served.client.send(Method::POST, "/v1/batches", &[JSON], batch.to_string()).await.json();
    assert_eq!(batch["items"][0]["plan"]["webhook"], json!({"url": url, "events": ["job.failed"]}));
    assert!(served.stop().await);
}
