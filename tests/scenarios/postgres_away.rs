//! PostgreSQL killed without a goodbye: an honest 503 meanwhile, nobody exits, nothing is lost or run twice.

use std::time::Duration;

use serde_json::json;

use super::runs;
use crate::harness::cluster::{Cluster, PrivateBackends};
use crate::harness::room;
use crate::harness::wait::{now, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_is_away_the_api_says_so_and_afterwards_every_accepted_job_is_done_once() {
    let _room = room::shared().await;
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, &runs::traced_kind(3.0));
    let api = cluster.api("api").await;
    cluster.worker("worker");
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(api.submit("traced", &json!({ "n": n })).await);
    }
    let running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
    cluster.until_count(running, 10, Duration::from_secs(20)).await;

    private.postgres.act("crash");
    let refused = api.try_submit("traced", &json!({})).await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.json());
    assert_eq!(refused.json()["code"], "store-unavailable");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    let read = api.send(reqwest::Method::GET, &format!("/v1/jobs/{}", ids[0]), &[], "").await;
    assert_eq!(read.status, 503, "{}", read.json());
    private.postgres.act("resume");

    until("the API to accept again", Duration::from_secs(30), async || {
        match api.try_submit("traced", &json!({})).await {
            Ok(answer) if answer.status == 202 => {
                ids.push(answer.job_id());
                true
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.json());
                false
            }
            Err(error) => panic!("no answer at all: {error}"),
        }
    })
    .await;
    for id in &ids {
        let job = api.done(id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    assert!(cluster.process("api").is_running());
    assert!(cluster.process("worker").is_running());
    let (started, overlaps) = runs::read(&cluster.path("runs"));
    assert_eq!(overlaps, 0, "no job ran twice at the same time");
    for id in &ids {
        assert_eq!(started[id], 1, "{id} ran more than once");
    }
    assert_eq!(cluster.count("SELECT count(*) FROM jobs WHERE crashes > 0").await, 0, "nobody was declared dead");
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_was_shown_is_not_taken_back_by_a_crash() {
    let _room = room::shared().await;
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, "");
    let api = cluster.api("api").await;
    cluster.worker("worker");
    for _ in 0..3 {
        let id = api.submit("takeaway", &json!({ "seconds": 50.0 })).await;
        let mut shown = 0;
        until("its progress to be shown", Duration::from_secs(20), async || {
            let job = api.job(&id).await;
            shown = job["version"].as_i64().unwrap();
            job["progress"].is_object()
        })
        .await;
        private.postgres.act("kill");
        private.postgres.act("resume");
        let mut version = None;
        until("the job to be shown again", Duration::from_secs(30), async || {
            version = api.job(&id).await["version"].as_i64();
            version.is_some()
        })
        .await;
        assert!(version >= Some(shown), "version {shown} was shown, then {version:?}");
    }
}

/// A key of this cluster's that may do everything.
fn key(cluster: &Cluster) -> String {
    let scopes = ["admin", "jobs:read"].map(|scope| format!("--scope={scope}"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_raincheck"));
    let made = command.args(["keys", "create", "test"]).args(scopes).current_dir(cluster.path("")).output().unwrap();
    format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_hangs_metrics_say_so_at_once_and_no_request_waits_for_it_twice() {
    let _room = room::shared().await;
    for keyed in [false, true] {
        let private = PrivateBackends::start();
        let mut cluster = Cluster::new(&private.backends().await, "");
        let authorization = if keyed { key(&cluster) } else { String::new() };
        let headers = [("authorization", authorization.as_str())];
        let headers = if keyed { &headers[..] } else { &[] };
        let api = cluster.api_with("api", &["--set", "store.timeout=5s"]).await;
        let ask = async |path: &str| {
            let began = now();
            let answer = api.send(reqwest::Method::GET, path, headers, "").await;
            (answer.status, String::from_utf8_lossy(&answer.body).into_owned(), began.elapsed())
        };
        let (status, page, _) = ask("/metrics").await;
        assert!(status == 200 && page.contains("\nraincheck_store_up 1\n"), "{status} {page}");

        private.postgres.act("pause");
        let away = now();
        let mut told = 0;
        // So long that whatever was known of keys is older than an answer is good for.
        until("metrics to say so for a while", Duration::from_mins(1), async || {
            let (status, page, took) = ask("/metrics").await;
            assert!(status == 200 && took < Duration::from_secs(4), "{status} after {took:?}: {page}");
            told += u32::from(page.contains("\nraincheck_store_up 0\n"));
            away.elapsed() > Duration::from_secs(16)
        })
        .await;
        assert!(told > 3, "told {told} times");
        let (status, _, took) = ask("/v1/jobs").await;
        assert!(status == 503 && took < Duration::from_secs(8), "{status} after {took:?}");
        private.postgres.act("continue");
        until("the API to answer again", Duration::from_secs(30), async || ask("/v1/jobs").await.0 == 200).await;
        assert!(ask("/metrics").await.1.contains("\nraincheck_store_up 1\n"));
    }
}
