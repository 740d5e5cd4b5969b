//! A worker that may open no more files: its programs are put off, and no job pays for that.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use serde_json::json;

use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use crate::harness::wait::until;

const KIND: &str = r#"
[kinds.counting]
command = ["sh", "-c", "ulimit -Sn; ulimit -Hn"]
max_attempts = 1
"#;

/// How many files this process and those that it starts may have open: fewer than they may allow themselves.
fn limit() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.expect("a limit");
    let current = limit.current.unwrap_or(maximum).min(maximum - 1);
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit }).unwrap();
    (current, maximum)
}

/// Lets a process have so many open, and answers how many it might until now.
fn allow(process: u32, files: u64, maximum: u64) -> u64 {
    let pid = Pid::from_raw(i32::try_from(process).unwrap());
    let limit = Rlimit { current: Some(files), maximum: Some(maximum) };
    prlimit(pid, Resource::Nofile, limit).unwrap().current.expect("a limit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_cannot_be_started_for_want_of_files_is_put_off_and_costs_no_attempt() {
    let _room = room::shared().await;
    let (current, maximum) = limit();
    let mut cluster = Cluster::new(&shared_backends().await, KIND);
    let api = cluster.api("api").await;
    cluster.worker("worker");
    let id = api.submit("counting", &json!("")).await;
    let job = api.done(&id).await;
    assert_eq!(job["result"]["value"], format!("{current}\n{maximum}\n"), "a program has what its worker had: {job}");

    let worker = cluster.process("worker").pid();
    // Fewer than it has.
    assert_eq!(allow(worker, 8, maximum), maximum, "a worker allows itself all it may");
    let id = api.submit("counting", &json!("")).await;
    until("its program to be put off", Duration::from_secs(20), async || {
        cluster.process("worker").log().contains(": putting off such jobs")
    })
    .await;
    allow(worker, maximum, maximum);
    let job = api.done(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&"succeeded".into(), &1.into()), "{job}");
    cluster.assert_nothing_is_left().await;
}
