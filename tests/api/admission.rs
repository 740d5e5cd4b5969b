//! Bounds of what waits, which count what waits now.

use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON, post_job};
use crate::harness::client::Client;
use crate::harness::served::{Served, Work};

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
