//! Too few files that may be open: a worker puts its programs off, and no job pays for that; clients leave some for the rest.

use std::process::Command;
use std::time::Duration;

use futures_util::future::try_join_all;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::process::{Raincheck, program};
use crate::harness::room;
use crate::harness::temp::{TempFolder, free_address};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_leaves_files_for_programs() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-files");
    std::fs::write(folder.0.join("raincheck.toml"), KIND).unwrap();
    let address = free_address();
    let mut command = Command::new("prlimit");
    command.arg("--nofile=200:200").arg(program()).args(["up", "--set", &format!("http.listen={address}")]);
    let process = Raincheck::spawn("up", command, &folder.0);
    let api = Client::new(&address);
    until("the instance to be ready", Duration::from_secs(30), async || api.is_ready().await).await;

    // The client above keeps its connection. Of these some wait for the server to take them, and find no end of it.
    let flood = try_join_all((0..400).map(|_| TcpStream::connect(&address))).await.unwrap();
    let ids = [api.submit("counting", &json!("")).await, api.submit("counting", &json!("")).await];
    for id in ids {
        let job = api.done(&id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    assert!(!process.log().contains(": putting off such jobs"), "{}", process.log());
    drop(flood);
}
