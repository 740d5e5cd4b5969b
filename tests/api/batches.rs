//! `POST /v1/batches`, `GET /v1/batches/{id}`, `POST …/cancel`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON, assert_problem, get};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};

async fn submit(client: &Client, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
    client.send(Method::POST, "/v1/batches", &headers, body.to_string()).await
}

fn of(kind: &str, count: usize) -> Value {
    let jobs: Vec<Value> = (0..count).map(|n| json!({"kind": kind, "input": n})).collect();
    json!({ "jobs": jobs })
}

async fn done(client: &Client, id: &str) -> Value {
    for _ in 0..6 {
        let batch = get(client, &format!("/v1/batches/{id}?wait=20s"), &[]).await.json();
        if batch["done"] == true {
            return batch;
        }
    }
    panic!("batch {id} did not end");
}

#[tokio::test]
async fn a_batch_with_one_bad_item_keeps_the_others() {
    for served in Served::on_each_store(Work::Worker).await {
        let body = json!({ "jobs": [
            {"kind": "echo", "input": 1},
            {"kind": "nobody", "input": 2},
            {"kind": "typed", "input": {"n": "x"}},
            {"kind": "echo", "input": 3, "prioritty": 5, "deadline": "2020-01-01T00:00:00Z"},
            7,
            {"kind": "echo", "input": 4, "validate_only": true},
            {"kind": "echo", "input": 5, "idempotency_key": "ä"},
            {"kind": "failing", "tags": ["last"]},
        ]});
        let answer = submit(&served.client, &body, &[]).await;
        assert_eq!(answer.status, 207, "{answer:?}");
        let whole = answer.json();
        let items = whole["items"].as_array().unwrap();
        let statuses: Vec<u64> = items.iter().map(|item| item["status"].as_u64().unwrap()).collect();
        assert_eq!(statuses, [202, 404, 422, 422, 422, 200, 422, 202]);
        assert_eq!((&whole["accepted"], &whole["refused"]), (&json!(2), &json!(5)));
        assert_eq!(items[1]["problem"]["code"], "kind-not-found");
        let pointers = |n: usize| -> Vec<&str> {
            let errors = items[n]["problem"]["errors"].as_array().unwrap();
            errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
        };
        assert_eq!(pointers(2), ["/input", "/input/n"]);
        assert_eq!(pointers(3), ["/prioritty", "/deadline"]);
        assert_eq!(pointers(6), ["/idempotency_key"]);
        assert_eq!(items[5]["plan"]["valid"], true);
        let id = whole["id"].as_str().unwrap();
        assert_eq!(answer.header("location"), format!("/v1/batches/{id}"));
        assert_eq!(items[0]["job"]["batch_id"], id);

        let batch = done(&served.client, id).await;
        assert_eq!((&batch["total"], &batch["progress"]), (&json!(2), &json!({"percent": 100.0, "ended": 2})));
        assert_eq!((&batch["counts"]["succeeded"], &batch["counts"]["failed"]), (&json!(1), &json!(1)));
        let jobs = get(&served.client, batch["links"]["jobs"].as_str().unwrap(), &[]).await.json();
        let listed: Vec<&Value> = jobs["jobs"].as_array().unwrap().iter().map(|job| &job["id"]).collect();
        assert_eq!(listed, [&items[7]["job"]["id"], &items[0]["job"]["id"]]);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_thousand_jobs_are_one_batch_and_all_are_done() {
    for served in Served::on_each_store(Work::Worker).await {
        let answer = submit(&served.client, &of("echo", 1000), &[]).await;
        let whole = answer.json();
        assert_eq!((&whole["accepted"], &whole["refused"]), (&json!(1000), &json!(0)));
        let id = whole["id"].as_str().unwrap();
        let batch = done(&served.client, id).await;
        assert_eq!(batch["counts"]["succeeded"], 1000);
        let finished = get(&served.client, &format!("/v1/batches/{id}"), &[]).await;
        assert!(finished.header("sunset").ends_with("GMT") && finished.header("retry-after").is_empty());
        let again =
            get(&served.client, &format!("/v1/batches/{id}"), &[("if-none-match", finished.header("etag"))]).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn the_same_batch_with_the_same_key_is_one_batch() {
    for served in Served::on_each_store(Work::Nobody).await {
        let mut body = of("echo", 3);
        body["jobs"][1]["kind"] = json!("nobody");
        body["jobs"][2]["idempotency_key"] = json!("its own");
        let key = [("idempotency-key", "whole")];
        let answers = futures_util::future::join_all((0..4).map(|_| submit(&served.client, &body, &key))).await;
        let ids: Vec<Value> = answers.iter().map(|answer| answer.json()["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "{ids:?}");
        assert_eq!(answers.iter().filter(|a| a.header("idempotency-replayed") == "false").count(), 1);
        for answer in &answers {
            let items = answer.json()["items"].clone();
            assert_eq!((&items[0]["status"], &items[1]["status"]), (&json!(202), &json!(404)), "{items}");
            assert_eq!(items[0]["job"]["id"], answers[0].json()["items"][0]["job"]["id"]);
        }
        let other = submit(&served.client, &of("echo", 3), &key).await;
        assert_problem(&other, 422, "idempotency-key-reused");
        // An item whose own key is known is the job that it was.
        let known = json!({"jobs": [{"kind": "echo", "input": 2, "idempotency_key": "its own"}, {"kind": "echo"}]});
        let known = submit(&served.client, &known, &[]).await.json();
        assert_eq!((&known["items"][0]["replayed"], &known["items"][1]["replayed"]), (&json!(true), &json!(false)));
        assert_eq!(known["items"][0]["job"]["batch_id"], ids[0]);
        let taken = json!({"jobs": [{"kind": "echo", "input": 3, "idempotency_key": "its own"}]});
        let taken = submit(&served.client, &taken, &[]).await.json();
        assert_eq!((&taken["id"], &taken["items"][0]["status"]), (&json!(null), &json!(422)));
        assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"].as_array().unwrap().len(), 3);
        // An item whose own key was another request's is no job of the batch, however often that is sent.
        let partly = json!({"jobs": [{"kind": "echo"}, {"kind": "echo", "input": 4, "idempotency_key": "its own"}]});
        for replayed in ["false", "true"] {
            let answer = submit(&served.client, &partly, &[("idempotency-key", "partly")]).await;
            let items = answer.json()["items"].clone();
            assert_eq!(answer.header("idempotency-replayed"), replayed);
            assert_eq!((&items[0]["status"], &items[1]["status"]), (&json!(202), &json!(422)), "{items}");
            assert_eq!((&answer.json()["accepted"], &answer.json()["refused"]), (&json!(1), &json!(1)));
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_batch_of_which_all_is_refused_leaves_its_key_free() {
    for served in Served::on_each_store(Work::Nobody).await {
        let key = [("idempotency-key", "whole")];
        let mut bad = of("nobody", 2);
        bad["jobs"][1] = json!({"kind": "typed", "input": {"n": "x"}});
        for _ in 0..2 {
            let refused = submit(&served.client, &bad, &key).await;
            let whole = refused.json();
            assert_eq!((refused.status, &whole["id"], &whole["refused"]), (207, &json!(null), &json!(2)));
            assert_eq!(refused.header("idempotency-replayed"), "false", "there was nothing to come back to");
        }
        let mended = submit(&served.client, &of("echo", 2), &key).await;
        assert_eq!((mended.status, &mended.json()["accepted"]), (207, &json!(2)), "{mended:?}");
        let again = submit(&served.client, &of("echo", 2), &key).await;
        assert_eq!((&again.json()["id"], again.header("idempotency-replayed")), (&mended.json()["id"], "true"));
        // From here on the key is that batch's.
        assert_problem(&submit(&served.client, &bad, &key).await, 422, "idempotency-key-reused");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_batch_is_canceled_as_a_whole() {
    for served in Served::on_each_store(Work::Worker).await {
        let mut body = of("echo", 2);
        body["jobs"][0] = json!({"kind": "sleep", "input": {"seconds": 60}});
        body["jobs"][1] = json!({"kind": "echo", "delay": "1h"});
        let id = submit(&served.client, &body, &[]).await.json()["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/batches/{id}");
        crate::harness::wait::until("the first job to run", Duration::from_secs(20), async || {
            get(&served.client, &path, &[]).await.json()["counts"]["in_progress"] == 1
        })
        .await;
        let live = get(&served.client, &path, &[]).await;
        assert_eq!((live.status, live.header("retry-after")), (200, "1"));
        let cancel = async || served.client.send(Method::POST, &format!("{path}/cancel"), &[], "").await;
        let asked = cancel().await;
        assert!(matches!(asked.status, 200 | 202), "{asked:?}");
        let batch = done(&served.client, &id).await;
        assert_eq!(batch["counts"]["canceled"], 2);
        assert!(batch["cancel_requested_at"].is_string());
        assert_eq!(cancel().await.status, 200, "a second time");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn what_is_no_batch_is_refused_whole() {
    let served = Served::with(Work::Nobody, &[("jobs.batch", "3"), ("jobs.max_queued", "2")]).await;
    let client = &served.client;
    for (body, pointer) in [
        (json!({}), "/jobs"),
        (json!({"jobs": []}), "/jobs"),
        (json!({"jobs": 1}), "/jobs"),
        (of("echo", 4), "/jobs"),
        (json!({"jobs": [{"kind": "echo"}], "job": 1}), "/job"),
    ] {
        assert_eq!(assert_problem(&submit(client, &body, &[]).await, 422, "input-invalid"), [pointer], "{body}");
    }
    let none = submit(client, &of("nobody", 2), &[]).await.json();
    assert_eq!((&none["id"], &none["links"], &none["refused"]), (&json!(null), &json!(null), &json!(2)));
    let mut planned = of("echo", 2);
    planned["validate_only"] = json!(true);
    let planned = submit(client, &planned, &[]).await.json();
    assert_eq!((&planned["id"], &planned["items"][1]["plan"]["kind"]), (&json!(null), &json!("echo")));
    assert_eq!(get(client, "/v1/jobs", &[]).await.json()["jobs"], json!([]));
    // The queue has room for two of them.
    let full = submit(client, &of("echo", 3), &[]).await.json();
    assert_eq!((&full["items"][1]["status"], &full["items"][2]["status"]), (&json!(202), &json!(503)));
    assert_eq!(full["items"][2]["problem"]["code"], "queue-full");
    let unknown = "/v1/batches/0192f0c1-2345-7abc-8def-0123456789ab";
    assert!(matches!(get(client, unknown, &[]).await.status, 404 | 410));
    let young = format!("/v1/batches/{}", raincheck_shared::lifecycle::IdSource.batch());
    assert_problem(&get(client, &young, &[]).await, 404, "batch-not-found");
    assert_problem(&get(client, "/v1/batches/7", &[]).await, 400, "malformed-request");
    assert_eq!(assert_problem(&get(client, "/v1/jobs?batch=7", &[]).await, 422, "input-invalid"), ["/batch"]);
    assert!(served.stop().await);
}
