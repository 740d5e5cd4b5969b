//! `POST /v1/leases` while there is nothing yet: who waits, is woken, or goes.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::leases::{REMOTE, ask, id, lease, on_each_store};
use crate::harness::client::Client;
use crate::harness::served::{Served, Work};
use crate::harness::wait::now;

#[tokio::test]
async fn a_poll_is_held_until_a_job_comes_and_ends_empty_without_one() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let wish = json!({"kinds": ["hauled"]});
        assert_eq!(ask(client, &wish, "wait=0").await.status, 204);
        let start = now();
        let empty = ask(client, &wish, "wait=1").await;
        assert_eq!((empty.status, empty.header("preference-applied")), (204, "wait=1"));
        assert!(start.elapsed() >= Duration::from_millis(900));

        let submitting = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.submit("hauled", &json!(1)).await
        };
        let start = now();
        let (held, job) = futures_util::future::join(lease(client, "hauled", "30s"), submitting).await;
        assert_eq!(id(&held), job);
        assert!(start.elapsed() < Duration::from_secs(5), "woken, or found by the look of each second");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn many_who_wait_get_a_job_each_and_none_gets_that_of_another() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let waiting = futures_util::future::join_all((0..12).map(|_| lease(client, "hauled", "30s")));
        let submitting = async {
            let mut jobs = Vec::new();
            for n in 0..12 {
                jobs.push(client.submit("hauled", &json!(n)).await);
            }
            jobs
        };
        let (held, mut jobs) = futures_util::future::join(waiting, submitting).await;
        let mut got: Vec<String> = held.iter().map(|lease| id(lease).to_owned()).collect();
        got.sort_unstable();
        jobs.sort_unstable();
        assert_eq!(got, jobs);
        let several = json!({"kinds": ["hauled"], "max": 5});
        for n in 0..3 {
            client.submit("hauled", &json!(n)).await;
        }
        assert_eq!(ask(client, &several, "wait=5").await.json()["leases"].as_array().unwrap().len(), 3);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_paused_queue_leases_nothing_and_queues_can_be_chosen() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        let act =
            async |verb: &str| client.send(Method::POST, &format!("/v1/queues/apart/{verb}"), &[], "").await.status;
        let job = client.submit("apart_hauled", &json!(1)).await;
        assert_eq!(act("pause").await, 200);
        assert_eq!(ask(client, &json!({}), "wait=2").await.status, 204);
        assert_eq!(act("resume").await, 200);
        assert_eq!(ask(client, &json!({"queues": ["default"]}), "wait=0").await.status, 204);
        let held = ask(client, &json!({"queues": ["apart"]}), "wait=5").await.json()["leases"][0].clone();
        assert_eq!(id(&held), job);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_server_that_drains_answers_those_who_wait() {
    let served = Served::with(Work::Nobody, REMOTE).await;
    let draining = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        served.begin_to_stop();
    };
    let wish = json!({"kinds": ["hauled"]});
    let start = now();
    let (waited, ()) = futures_util::future::join(ask(&served.client, &wish, "wait=20"), draining).await;
    assert_eq!(waited.status, 204);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(served.stop().await);
}

#[tokio::test]
async fn who_hung_up_while_it_waited_is_handed_nothing() {
    for served in on_each_store(&[]).await {
        let client = &served.client;
        for _ in 0..8 {
            // A connection of its own, which is closed with it.
            let gone = Client::new(client.address());
            let wish = json!({"kinds": ["hauled"]});
            let waited = tokio::time::timeout(Duration::from_millis(100), ask(&gone, &wish, "wait=20")).await;
            assert!(waited.is_err(), "nothing waits yet");
        }
        let job = client.submit("hauled", &json!(1)).await;
        let start = now();
        let held = lease(client, "hauled", "30s").await;
        assert_eq!((id(&held), &held["attempt"]), (job.as_str(), &json!(1)));
        assert!(start.elapsed() < Duration::from_secs(10), "it was not handed to who is gone, and lost with the lease");
        assert!(served.stop().await);
    }
}
