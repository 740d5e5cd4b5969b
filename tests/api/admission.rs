//! Bounds of what waits, which count what waits now.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON, assert_problem, get, post_job};
use crate::harness::client::Client;
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

/// Long enough that no count of the loops comes to the help of a test.
const RARELY: (&str, &str) = ("upkeep.lost_dispatches", "1h");

const BOUNDS: [&str; 2] = ["jobs.max_queued", "quotas.queued"];

async fn until_all_have_ended(client: &Client, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        assert_eq!(client.done(&id).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn jobs_that_have_ended_take_no_room_from_those_that_come() {
    for bound in BOUNDS {
        let served = Served::with(Work::Worker, &[(bound, "3"), RARELY]).await;
        for n in 0..12 {
            let body = json!({"kind": "echo", "input": n});
            let answer = post_job(&served.client, &body, &[("prefer", "wait=15")]).await;
            assert_eq!(answer.status, 200, "{bound}, job {n}: {answer:?}");
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_batch_finds_the_room_that_the_one_before_it_has_left() {
    for bound in BOUNDS {
        let served = Served::with(Work::Worker, &[(bound, "3"), RARELY]).await;
        for _ in 0..4 {
            let body = json!({"jobs": vec![json!({"kind": "echo"}); 3]}).to_string();
            let answer = served.client.send(Method::POST, "/v1/batches", &[JSON], body).await;
            assert_eq!((answer.status, &answer.json()["accepted"]), (207, &json!(3)), "{bound}: {answer:?}");
            let items = answer.json()["items"].as_array().unwrap().clone();
            let id = |item: Value| item["job"]["id"].as_str().unwrap().to_owned();
            until_all_have_ended(&served.client, items.into_iter().map(id)).await;
        }
        assert!(served.stop().await);
    }
}

async fn post(client: &Client, path: &str) {
    assert_eq!(client.send(Method::POST, path, &[], "").await.status, 200, "{path}");
}

/// One over each store.
async fn on_each_store(work: Work, settings: &[(&str, &str)]) -> [Served; 2] {
    [Served::with(work, settings).await, Served::on_postgres(work, settings).await]
}

#[tokio::test]
async fn who_cancels_what_waits_in_a_paused_queue_finds_room_at_once() {
    for bound in BOUNDS {
        for served in on_each_store(Work::Nobody, &[(bound, "3"), RARELY]).await {
            let client = &served.client;
            post(client, "/v1/queues/apart/pause").await;
            let body = json!({"kind": "apart"});
            for _ in 0..2 {
                let mut ids = Vec::new();
                for _ in 0..3 {
                    let answer = post_job(client, &body, &[]).await;
                    assert_eq!(answer.status, 202, "{bound}: {answer:?}");
                    ids.push(answer.job_id());
                }
                for id in ids {
                    post(client, &format!("/v1/jobs/{id}/cancel")).await;
                }
                // A count is believed for so long, and a look is made once a second.
                tokio::time::sleep(Duration::from_millis(1_100)).await;
            }
            let answer = post_job(client, &body, &[]).await;
            assert_eq!(answer.status, 202, "{bound}: {answer:?}");
            assert!(served.stop().await);
        }
    }
}

#[tokio::test]
async fn what_has_expired_or_was_canceled_with_its_batch_waits_no_more() {
    for served in on_each_store(Work::Nobody, &[("upkeep.lost_dispatches", "100ms")]).await {
        let client = &served.client;
        let late = json!({"kind": "echo", "timeouts": {"start": "1s"}});
        let late = post_job(client, &late, &[]).await.job_id();
        let body = json!({"jobs": vec![json!({"kind": "echo"}); 5]}).to_string();
        let batch = client.send(Method::POST, "/v1/batches", &[JSON], body).await.json();
        let waiting = async || get(client, "/v1/queues/default", &[]).await.json();
        assert_eq!(waiting().await["waiting"], 6);
        post(client, &format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap())).await;
        assert_eq!(client.done(&late).await["status"], "expired");
        until("nothing to wait", Duration::from_secs(10), async || {
            let told = waiting().await;
            told["waiting"] == 0 && told["oldest_age_seconds"].is_null()
        })
        .await;
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn delayed_jobs_of_a_batch_need_no_room_before_they_are_due() {
    for bound in BOUNDS {
        let served = Served::with(Work::Nobody, &[(bound, "3"), RARELY]).await;
        let mut jobs = vec![json!({"kind": "echo", "delay": "1h"}); 4];
        jobs.extend(vec![json!({"kind": "echo"}); 3]);
        let body = json!({"jobs": jobs}).to_string();
        let answer = served.client.send(Method::POST, "/v1/batches", &[JSON], body).await;
        assert_eq!((answer.status, &answer.json()["accepted"]), (207, &json!(7)), "{bound}: {answer:?}");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_batch_that_never_finds_room_is_not_to_be_sent_again() {
    let served = Served::with(Work::Nobody, &[("quotas.queued", "3"), RARELY]).await;
    let batch = async |jobs: usize| {
        let body = json!({"jobs": vec![json!({"kind": "echo"}); jobs]}).to_string();
        served.client.send(Method::POST, "/v1/batches", &[JSON], body).await
    };
    let never = batch(4).await;
    assert_problem(&never, 429, "quota-exceeded");
    assert_eq!(never.json()["retryable"], false, "{never:?}");
    assert_eq!(batch(3).await.json()["accepted"], 3);
    let later = batch(3).await;
    assert_problem(&later, 429, "quota-exceeded");
    assert_eq!((&later.json()["retryable"], later.header("retry-after")), (&json!(true), "5"), "{later:?}");
    assert!(served.stop().await);
}
