//! `PUT /v1/jobs/{id}`.

use std::time::Duration;

use raincheck_shared::domain::JobId;
use raincheck_shared::lifecycle::IdSource;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::{NoContext, Timestamp, Uuid};

use super::{JSON, assert_problem, get, post_job};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};

async fn put(client: &Client, id: impl std::fmt::Display, body: &Value) -> Answer {
    client.send(Method::PUT, &format!("/v1/jobs/{id}"), &[JSON], body.to_string()).await
}

/// An id as a client makes one whose clock is off.
fn id_of(seconds_from_now: i64) -> JobId {
    let now = IdSource.job().created_at().unix_timestamp();
    let at = Timestamp::from_unix(NoContext, (now + seconds_from_now).cast_unsigned(), 0);
    JobId::new(Uuid::new_v7(at))
}

#[tokio::test]
async fn an_id_of_the_clients_own_makes_the_same_request_one_job() {
    for served in Served::on_each_store(Work::Nobody).await {
        let id = IdSource.job();
        let body = json!({"kind": "echo", "input": 1, "delay": "1h"});
        let first = put(&served.client, id, &body).await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (202, "false"));
        assert_eq!(first.job_id(), id.to_string());
        assert_eq!(first.header("location"), format!("/v1/jobs/{id}"));
        assert_eq!(first.json()["idempotency_key"], json!(null), "the key behind it is nobody's business");
        let again = put(&served.client, id, &body).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
        assert_eq!(again.job_id(), id.to_string());
        let other = put(&served.client, id, &json!({"kind": "echo", "input": 2})).await;
        assert_problem(&other, 422, "idempotency-key-reused");
        assert_eq!(other.json()["job_id"], id.to_string());
        assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"].as_array().unwrap().len(), 1);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn two_puts_at_once_are_one_job() {
    for served in Served::on_each_store(Work::Nobody).await {
        for _ in 0..20 {
            let id = IdSource.job();
            let body = json!({"kind": "echo", "input": "same", "delay": "1h"});
            let puts = (0..4).map(|_| put(&served.client, id, &body));
            let answers = futures_util::future::join_all(puts).await;
            assert!(answers.iter().all(|a| a.status == 202 && a.job_id() == id.to_string()), "{answers:?}");
            let first = answers.iter().filter(|a| a.header("idempotency-replayed") == "false").count();
            assert_eq!(first, 1);
        }
        assert_eq!(get(&served.client, "/v1/jobs?limit=100", &[]).await.json()["jobs"].as_array().unwrap().len(), 20);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn an_id_that_is_another_jobs_is_refused_and_tells_nothing_of_it() {
    for served in Served::on_each_store(Work::Nobody).await {
        let taken = post_job(&served.client, &json!({"kind": "echo", "input": "secret"}), &[]).await.job_id();
        let refused = put(&served.client, &taken, &json!({"kind": "echo", "input": "secret"})).await;
        assert_eq!(assert_problem(&refused, 422, "job-id-invalid"), ["/id"]);
        assert_eq!(refused.json()["job_id"], json!(null));
        let looked_at = put(&served.client, &taken, &json!({"kind": "echo", "validate_only": true})).await;
        assert_eq!(assert_problem(&looked_at, 422, "job-id-invalid"), ["/id"]);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn an_id_must_be_of_about_now() {
    let served = Served::idle().await;
    let body = json!({"kind": "echo"});
    let random = "0b7d6b0e-4f7b-4b0e-9f64-0f1c7b1f5a11";
    for (id, allowed) in [
        (random.to_owned(), "UUIDv7"),
        ("nonsense".to_owned(), "UUIDv7"),
        (Uuid::nil().to_string(), "UUIDv7"),
        // Its version is right, and its variant is another standard's.
        (
            id_of(0)
                .to_string()
                .split('-')
                .enumerate()
                .map(|(n, part)| if n == 3 { "01cb" } else { part })
                .collect::<Vec<_>>()
                .join("-"),
            "UUIDv7",
        ),
        (id_of(-13 * 3600).to_string(), "at most 12h ago"),
        (id_of(600).to_string(), "at most 5m ahead"),
    ] {
        let refused = put(&served.client, &id, &body).await;
        assert_eq!(assert_problem(&refused, 422, "job-id-invalid"), ["/id"], "{id}");
        assert!(refused.json()["detail"].as_str().unwrap().contains(allowed), "{}", refused.json()["detail"]);
    }
    for seconds in [-11 * 3600, -60, 60] {
        assert_eq!(put(&served.client, id_of(seconds), &body).await.status, 202, "{seconds}");
    }
    let key = [JSON, ("idempotency-key", "k")];
    let both = served.client.send(Method::PUT, &format!("/v1/jobs/{}", IdSource.job()), &key, body.to_string()).await;
    assert_problem(&both, 400, "idempotency-key-invalid");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_put_waits_and_runs_like_any_submit() {
    let served = Served::working().await;
    let id = IdSource.job();
    let headers = [JSON, ("prefer", "wait=15")];
    let body = json!({"kind": "echo", "input": {"a": 1}, "retention": {"result": "1s"}}).to_string();
    let path = format!("/v1/jobs/{id}");
    let done = served.client.send(Method::PUT, &path, &headers, body.clone()).await;
    assert_eq!((done.status, &done.json()["result"]["value"]), (200, &json!({"a": 1})));
    // Though its result is to be kept for a second only: as long as its id can be sent again, it is known.
    let at = |name: &str| OffsetDateTime::parse(done.json()[name].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(at("expires_at") - at("finished_at") >= Duration::from_hours(24));
    while served.store.upkeep.remove_expired().await.unwrap() {}
    let again = served.client.send(Method::PUT, &path, &headers, body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
    assert!(served.stop().await);
}
