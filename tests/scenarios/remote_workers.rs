//! Remote workers over real processes: replicas of the API that come and go, RabbitMQ that comes and goes, and the example
//! in Python, as it is.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, PrivateBackends, shared_backends};
use crate::harness::process::Raincheck;
use crate::harness::room;
use crate::harness::wait::now;

const KINDS: &str = "[kinds.shout]\nremote = true\n[kinds.plain]\nbuiltin = \"echo\"\n";
const JSON: (&str, &str) = ("content-type", "application/json");

async fn lease(api: &Client, ttl: &str) -> Value {
    let wish = json!({"kinds": ["shout"], "ttl": ttl}).to_string();
    let answer = api.send(Method::POST, "/v1/leases", &[JSON, ("prefer", "wait=20")], wish).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["leases"][0].clone()
}

async fn say(api: &Client, lease: &Value, verb: &str) -> (u16, Value) {
    let path = format!("/v1/leases/{}/{verb}", lease["token"].as_str().unwrap());
    let answer = api.send(Method::POST, &path, &[JSON], "{}").await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_outlives_the_replica_that_gave_it_and_is_ended_through_another() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, KINDS);
    let (first, second) = (cluster.api("first").await, cluster.api("second").await);
    let job = first.submit("shout", &json!("hello")).await;
    let held = lease(&first, "30s").await;
    cluster.process("first").kill();
    assert_eq!(say(&second, &held, "heartbeat").await.0, 200);
    // Longer than the lease of an ordinary worker would be judged by: nothing of the dead replica counts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(say(&second, &held, "complete").await.1["status"], "succeeded");
    assert_eq!(second.done(&job).await["attempt"], 1);
    let again = cluster.api("first").await;
    assert_eq!(
        say(&again, &held, "complete").await.1["status"],
        "succeeded",
        "the same end, through the other replica"
    );
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_to_one_replica_wakes_who_waits_at_another_and_is_never_sent_over_the_broker() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, KINDS);
    let (first, second) = (cluster.api("first").await, cluster.api("second").await);
    cluster.worker("ordinary");
    first.done(&first.submit("plain", &json!(1)).await).await;
    let mut took = Vec::new();
    for n in 0..10 {
        let submitting = async {
            tokio::time::sleep(Duration::from_millis(120)).await;
            let start = now();
            (first.submit("shout", &json!(n)).await, start)
        };
        let waiting = async { (lease(&second, "30s").await, now()) };
        let ((held, at), (job, start)) = futures_util::future::join(waiting, submitting).await;
        assert_eq!(held["job_id"], job);
        took.push(at.saturating_duration_since(start));
        assert_eq!(say(&first, &held, "complete").await.1["status"], "succeeded");
    }
    took.sort_unstable();
    assert!(took[5] < Duration::from_millis(500), "found by the look of each second rather than woken: {took:?}");
    // What nobody leases waits in the store, counts as handed over, and is looked for by nobody.
    for n in 0..50 {
        first.submit("shout", &json!(n)).await;
    }
    let handed_over = "SELECT count(*) FROM dispatches WHERE published_at IS NOT NULL";
    cluster.until_count(handed_over, 50, Duration::from_secs(20)).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let again = "SELECT count(*) FROM dispatches WHERE publishes > 1 OR published_at IS NULL";
    assert_eq!(cluster.count(again).await, 0, "taken for lost");
    assert_eq!(cluster.count("SELECT count(*) FROM jobs WHERE status = 'queued'").await, 50);
    let queue = first.send(Method::GET, "/v1/queues/default", &[], "").await.json();
    assert_eq!(queue["waiting"], 50, "{queue}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_broker_jobs_are_leased_all_the_same() {
    let _room = room::alone().await;
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, KINDS);
    let (first, second) = (cluster.api("first").await, cluster.api("second").await);
    private.rabbitmq.act("kill");
    let job = first.submit("shout", &json!("hello")).await;
    let held = lease(&second, "30s").await;
    assert_eq!(held["job_id"], job);
    let gone = say(&first, &held, "release").await;
    assert_eq!(gone.1["status"], "queued");
    let held = lease(&second, "30s").await;
    assert_eq!((held["job_id"].as_str(), &held["attempt"]), (Some(job.as_str()), &json!(1)));
    assert_eq!(say(&first, &held, "complete").await.1["status"], "succeeded");
    assert_eq!(second.done(&job).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_replica_was_away_nobody_is_judged_before_it_could_be_heard() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, KINDS);
    let api = cluster.api("only").await;
    let job = api.submit("shout", &json!("hello")).await;
    let held = lease(&api, "10s").await;
    cluster.process("only").kill();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let api = cluster.api("only").await;
    assert_eq!(say(&api, &held, "heartbeat").await.0, 200, "its lease had run out while nobody listened");
    let rescued = "SELECT count(*) FROM jobs WHERE crashes > 0";
    cluster.until_count(rescued, 1, Duration::from_secs(40)).await;
    assert_eq!(say(&api, &held, "complete").await.0, 409);
    let held = lease(&api, "30s").await;
    assert_eq!(say(&api, &held, "complete").await.1["status"], "succeeded");
    assert_eq!(api.done(&job).await["attempt"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_in_python_runs_jobs_survives_a_replica_and_has_its_failures_retried() {
    let _room = room::shared().await;
    let settings = "[kinds.shout]\nremote = true\nmax_attempts = 2\nbackoff = \"1ms\"\n";
    let mut cluster = Cluster::new(&shared_backends().await, settings);
    let api = cluster.api("api").await;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/remote_worker.py");
    let mut python = Command::new("python3");
    python.arg(example).env("RAINCHECK_URL", format!("http://{}", api.address())).env_remove("RAINCHECK_KEY");
    let mut worker = Raincheck::spawn("python", python, &cluster.path("."));

    let text = [("content-type", "text/plain")];
    let submit = async |api: &Client, text_of: &'static str| {
        api.send(Method::POST, "/v1/kinds/shout/jobs", &text, text_of).await.job_id()
    };
    let job = submit(&api, "hello").await;
    let done = api.done(&job).await;
    assert_eq!((&done["status"], &done["result"]["value"]), (&json!("succeeded"), &json!("HELLO")), "{done}");
    assert_eq!(done["result"]["content_type"], "text/plain; charset=utf-8");

    // What does not come along with its lease is read where the lease says.
    let long = "soup ".repeat(20_000);
    let job = api.send(Method::POST, "/v1/kinds/shout/jobs", &text, long.clone()).await.job_id();
    assert_eq!(api.done(&job).await["status"], "succeeded");
    let result = api.send(Method::GET, &format!("/v1/jobs/{job}/result"), &[], "").await;
    assert_eq!(result.body, long.to_uppercase());
    let binary = api.send(Method::POST, "/v1/kinds/shout/jobs", &[], &b"\xffsoup"[..]).await.job_id();
    assert_eq!(api.done(&binary).await["result"]["value"], "\u{fffd}SOUP");

    // A number has no upper case.
    let failing = api.submit("shout", &json!(7)).await;
    let failed = api.done(&failing).await;
    assert_eq!((&failed["status"], &failed["attempt"]), (&json!("failed"), &json!(2)), "{failed}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("AttributeError"), "{failed}");

    cluster.process("api").kill();
    let api = cluster.api("api").await;
    let job = submit(&api, "again").await;
    assert_eq!(api.done(&job).await["result"]["value"], "AGAIN");
    assert!(worker.is_running(), "{}", worker.log());
    cluster.assert_nothing_is_left().await;
}
