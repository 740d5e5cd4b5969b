//! SIGTERM to a worker: it finishes what it can and gives back the rest; a deploy burns no attempt.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::harness::cluster::{Cluster, seconds, shared_backends};
use crate::harness::room;
use crate::harness::wait::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_finishes_what_is_short_and_gives_back_what_is_long_without_burning_an_attempt() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, "[worker]\ndrain_timeout = \"3s\"\n");
    let api = cluster.api("api").await;
    cluster.worker("old");
    let short = api.submit("sleep", &seconds(2.5)).await;
    let long = api.submit("sleep", &seconds(8.0)).await;
    // What the worker itself says with its heartbeat: the store knows of a claim before the worker does.
    until("both to run", Duration::from_secs(20), async || {
        api.send(Method::GET, "/v1/queues/default", &[], "").await.json()["running"] == 2
    })
    .await;

    let status = cluster.process("old").terminate().await;
    assert!(status.success(), "{status}");
    assert_eq!(api.job(&short).await["status"], "succeeded");
    let given_back = api.job(&long).await;
    assert_eq!((given_back["status"].as_str(), given_back["attempt"].as_i64()), (Some("queued"), Some(0)));
    assert_eq!(cluster.count("SELECT count(*) FROM workers").await, 0, "it has signed off");

    cluster.worker("new");
    let job = api.done(&long).await;
    assert_eq!((job["status"].as_str(), job["attempt"].as_i64()), (Some("succeeded"), Some(1)));
    assert_eq!(cluster.count("SELECT max(crashes)::bigint FROM jobs").await, 0);
    cluster.assert_nothing_is_left().await;
}

/// Programs that heed SIGTERM in one way or another, and are done when there is a file `second`.
const PROGRAMS: &str = r#"
[worker]
concurrency = 8
[kinds.dying]
command = ["sh", "-c", "if [ -e second ]; then echo done; exit; fi; echo $$ >> running; exec sleep 1000"]
directory = "."
max_attempts = 1
[kinds.complaining]
command = ["sh", "-c", '''
    trap 'exit 3' TERM
    if [ -e second ]; then echo done; exit; fi; echo $$ >> running; while :; do sleep 0.05; done
''']
directory = "."
max_attempts = 1
[kinds.deaf]
command = ["sh", "-c", "trap '' TERM; echo $$ >> running; while [ ! -e second ]; do sleep 0.05; done; echo done"]
directory = "."
max_attempts = 1
"#;

/// A process and all below it, itself first.
fn family(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<u32> = lists.flat_map(|list| list.split(' ').flat_map(str::parse).collect::<Vec<_>>()).collect();
    std::iter::once(pid).chain(children.into_iter().flat_map(family)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_every_process_gets_sigterm_burns_no_attempt_and_lets_those_finish_that_do_not_heed_it() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, PROGRAMS);
    let api = cluster.api("api").await;
    cluster.worker("old");
    let mut ids = Vec::new();
    for kind in ["dying", "complaining", "deaf"] {
        ids.push(api.submit(kind, &json!("")).await);
    }
    let running = || fs::read_to_string(cluster.path("running")).unwrap_or_default().lines().count();
    until("all programs to run", Duration::from_secs(20), async || running() == 3).await;

    // As systemd does, unless `KillMode` says otherwise: the main process first.
    for pid in family(cluster.process("old").pid()) {
        // Some end with those that were told before.
        let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM);
    }
    let queued = "SELECT count(*) FROM jobs WHERE status = 'queued' AND attempt = 0";
    cluster.until_count(queued, 2, Duration::from_secs(20)).await;
    fs::write(cluster.path("second"), "").unwrap();
    let status = cluster.process("old").ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(api.job(&ids[2]).await["status"], "succeeded", "it did not heed the signal");

    cluster.worker("new");
    for id in &ids {
        let job = api.done(id).await;
        assert_eq!((&job["result"]["value"], &job["attempt"]), (&"done\n".into(), &1.into()), "{job}");
    }
    assert_eq!(cluster.count("SELECT max(crashes)::bigint FROM jobs").await, 0);
    cluster.assert_nothing_is_left().await;
}
