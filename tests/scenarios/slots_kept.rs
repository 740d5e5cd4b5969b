//! What a worker may run at once is what it runs at once: in all, of each kind, over the broker and around it.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::harness::client::Client;
use crate::harness::cluster::{Backends, Cluster, new_database, required, seconds, shared_backends};
use crate::harness::room;
use crate::harness::store::POSTGRES_URL;
use crate::harness::temp::TempFolder;
use crate::harness::wait::until;

const IN_PROGRESS: &str = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
/// Many looks into the store, one each 50 ms.
const A_WHILE: Duration = Duration::from_secs(1);

/// A kind whose handler looks who else runs: it notes itself in a folder, counts all notes there, and says how many there were.
fn witness(notes: &Path, concurrency: usize) -> String {
    let notes = notes.display();
    let script = format!("mine=$(mktemp {notes}/XXXXXX) && ls {notes} | wc -l && sleep 0.1 && rm $mine");
    format!("[kinds.witness]\ncommand = [\"sh\", \"-c\", \"{script}\"]\nconcurrency = {concurrency}\n")
}

async fn submit_batch(api: &Client, kind: &str, input: Value, jobs: usize) -> Vec<String> {
    let jobs: Vec<Value> = (0..jobs).map(|_| json!({ "kind": kind, "input": input })).collect();
    let headers = [("content-type", "application/json")];
    let answer = api.send(Method::POST, "/v1/batches", &headers, json!({ "jobs": jobs }).to_string()).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["job"]["id"].as_str().unwrap().to_owned()).collect()
}

/// What the handlers of these jobs have seen at once, at most.
async fn most_at_once(api: &Client, ids: &[String]) -> u32 {
    let mut most = 0;
    for id in ids {
        let job = api.done(id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job}");
        most = most.max(job["result"]["value"].as_str().unwrap().trim().parse().unwrap());
    }
    most
}

/// A worker that has fewer slots than the API thinks when it puts jobs into messages.
fn run_worker(cluster: &mut Cluster, name: &str, slots: &str) {
    cluster.run(name, &["worker", "--name", name, "--log", "info,raincheck_worker=debug", "--set", slots]);
}

/// What twenty jobs that come in few messages see at once, at most, at a worker with these slots.
async fn most_of_a_batch(slots: &str) -> u32 {
    let notes = TempFolder::new("raincheck-test");
    let mut cluster = Cluster::new(&shared_backends().await, &witness(&notes.0, 64));
    let api = cluster.api("api").await;
    let ids = submit_batch(&api, "witness", json!(null), 20).await;
    assert!(cluster.count("SELECT max(dispatch_width)::bigint FROM jobs").await > 3, "nothing would be tested");
    run_worker(&mut cluster, "worker", slots);
    let most = most_at_once(&api, &ids).await;
    cluster.assert_nothing_is_left().await;
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_never_runs_more_at_once_than_it_may_however_many_jobs_come_in_one_message() {
    let _room = room::shared().await;
    assert_eq!(most_of_a_batch("worker.concurrency=1").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_never_runs_more_of_a_kind_at_once_than_it_may_however_many_come_in_one_message() {
    let _room = room::shared().await;
    assert_eq!(most_of_a_batch("kinds.witness.concurrency=3").await, 3, "as many as may, and never more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_api_knows_the_workers_slots_no_job_is_in_progress_before_it_can_run() {
    let _room = room::shared().await;
    let settings = "[worker]\nconcurrency = 1\n[kinds.nap]\nbuiltin = \"sleep\"\nconcurrency = 64\n";
    let mut cluster = Cluster::new(&shared_backends().await, settings);
    let api = cluster.api("api").await;
    let ids = submit_batch(&api, "nap", seconds(0.05), 20).await;
    cluster.worker("worker");
    for id in &ids {
        assert_eq!(api.done(id).await["status"], "succeeded");
    }
    let most = "SELECT max(n) FROM (SELECT (SELECT count(*) FROM jobs b WHERE b.started_at <= a.started_at \
        AND b.finished_at > a.started_at) AS n FROM jobs a) w";
    assert_eq!(cluster.count(most).await, 1);
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_and_waits_for_a_slot_can_be_canceled_and_is_given_back_by_a_drain() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, "[kinds.nap]\nbuiltin = \"sleep\"\nconcurrency = 64\n");
    let api = cluster.api("api").await;
    let ids = submit_batch(&api, "nap", seconds(4.0), 8).await;
    run_worker(&mut cluster, "narrow", "worker.concurrency=1");
    cluster.until_count(IN_PROGRESS, 8, Duration::from_secs(20)).await;
    let running = async || api.send(Method::GET, "/v1/queues/default", &[], "").await.json()["running"].clone();
    until("one to run", Duration::from_secs(20), async || running().await == 1).await;

    let canceled = ids.last().unwrap();
    let answer = api.send(Method::POST, &format!("/v1/jobs/{canceled}/cancel"), &[], "").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(api.done(canceled).await["status"], "canceled");
    let status = cluster.process("narrow").terminate().await;
    assert!(status.success(), "{status}");
    assert_eq!(cluster.count("SELECT count(*) FROM jobs WHERE status = 'succeeded'").await, 1, "the one that ran");
    assert_eq!(cluster.count("SELECT count(*) FROM jobs WHERE status = 'queued' AND attempt = 0").await, 6);

    run_worker(&mut cluster, "wide", "worker.concurrency=8");
    for id in &ids[..7] {
        let job = api.done(id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job}");
    }
    assert_eq!(cluster.count("SELECT max(crashes)::bigint FROM jobs").await, 0);
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_slow_to_answer_a_claim_its_slots_are_not_given_to_another() {
    let _room = room::shared().await;
    let notes = TempFolder::new("raincheck-test");
    // Nobody is there: all claims are made from the store.
    let backends =
        Backends { postgres: new_database(&required(POSTGRES_URL)).await, rabbitmq: "amqp://127.0.0.1:1".to_owned() };
    let settings = format!("[worker]\nconcurrency = 1\nfallback_poll = \"50ms\"\n{}", witness(&notes.0, 1));
    let mut cluster = Cluster::new(&backends, &settings);
    let api = cluster.api("api").await;
    let mut ids = submit_batch(&api, "witness", json!(null), 1).await;
    let mut other = PgConnection::connect(&cluster.postgres_url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM jobs FOR UPDATE").execute(&mut *held).await.unwrap();
    ids.extend(submit_batch(&api, "witness", json!(null), 3).await);

    cluster.worker("worker");
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    cluster.until_count(waits, 1, Duration::from_secs(20)).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(cluster.count(waits).await, 1, "the claim of the first is under way");
    assert_eq!(
        cluster.count("SELECT count(*) FROM jobs WHERE started_at IS NOT NULL").await,
        0,
        "and has the only slot"
    );
    held.rollback().await.unwrap();
    assert_eq!(most_at_once(&api, &ids).await, 1);
    cluster.assert_nothing_is_left().await;
}
