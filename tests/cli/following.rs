//! `raincheck watch` and its like: over the end of jobs, of patience, and of the server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Desk, said};
use crate::harness::client::Client;
use crate::harness::process::Raincheck;
use crate::harness::served::Served;
use crate::harness::temp::{TempFolder, free_address};
use crate::harness::wait::until;

fn watch(desk: &Desk, address: impl std::fmt::Display, arguments: &[&str]) -> Child {
    desk.command(arguments)
        .env("RAINCHECK_URL", format!("http://{address}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_is_a_line_and_the_last_one_is_done() {
    let served = Served::working().await;
    let desk = Desk::new();
    let submit = ["submit", "takeaway", "--data", r#"{"dish": "ramen", "seconds": 1}"#, "--follow", "--json"];
    let followed = desk.ask(served.address, &submit, b"");
    followed.assert_code(0);
    let jobs = followed.documents();
    let versions: Vec<u64> = jobs.iter().map(|job| job["version"].as_u64().unwrap()).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert_eq!(jobs.last().unwrap()["status"], "succeeded");
    let id = jobs[0]["id"].as_str().unwrap();
    let late = desk.ask(served.address, &["watch", id], b"");
    late.assert_code(0);
    assert_eq!(late.out, format!("{id}  succeeded    100 %\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_jobs_each_is_followed_and_the_one_that_failed_decides() {
    let served = Served::working().await;
    let desk = Desk::new();
    let id = |kind: &str| desk.ask(served.address, &["submit", kind, "--data", "1"], b"").out.trim().to_owned();
    let (good, bad) = (id("echo"), id("failing"));
    let said = desk.ask(served.address, &["watch", &good, &bad], b"");
    said.assert_code(4);
    said.assert_out_has(&format!("{good}  succeeded"));
    said.assert_out_has(&format!("{bad}  failed"));
    said.assert_err_has(&format!("job {bad} failed in attempt 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_patience_and_ctrl_c_say_how_to_come_back_and_leave_the_job_alone() {
    let served = Served::idle().await;
    let desk = Desk::new();
    let id = desk.ask(served.address, &["submit", "echo"], b"").out.trim().to_owned();
    let late = desk.ask(served.address, &["watch", &id, "--at-most", "300ms"], b"");
    late.assert_code(8);
    late.assert_err_has(&format!("raincheck watch {id}"));

    let mut child = watch(&desk, served.address, &["watch", &id]);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.contains("queued"), "{line}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let stopped = said(&child.wait_with_output().unwrap());
    stopped.assert_code(130);
    stopped.assert_err_has(&format!("job {id} goes on; come back with `raincheck watch {id}`"));
    assert_eq!(served.client.job(&id).await["status"], "queued");
}

async fn start(folder: &TempFolder, address: &str) -> Raincheck {
    let process = Raincheck::run("up", &["up", "--set", &format!("http.listen={address}")], &folder.0);
    let api = Client::new(address);
    until("the server to be ready", Duration::from_secs(30), async || api.is_ready().await).await;
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_is_watched_on_and_one_that_stays_away_is_told() {
    let folder = TempFolder::new("raincheck-watched");
    let address = free_address();
    let desk = Desk::new();
    let mut server = start(&folder, &address).await;
    let submit = ["submit", "sleep", "--data", r#"{"seconds": 1}"#, "--delay", "2s"];
    let id = desk.ask(&address, &submit, b"").out.trim().to_owned();
    let mut child = watch(&desk, &address, &["watch", &id, "--json", "--patience", "30s"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["status"], "scheduled");
    server.kill();
    let mut server = start(&folder, &address).await;
    let last: Value = serde_json::from_str(&lines.map(Result::unwrap).last().unwrap()).unwrap();
    assert_eq!((&last["id"], &last["status"]), (&json!(id), &json!("succeeded")));
    said(&child.wait_with_output().unwrap()).assert_code(0);

    let id = desk.ask(&address, &["submit", "echo", "--delay", "1h"], b"").out.trim().to_owned();
    let mut child = watch(&desk, &address, &["watch", &id, "--patience", "1s"]);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    server.kill();
    let told = said(&child.wait_with_output().unwrap());
    told.assert_code(8);
    told.assert_err_has(&format!("raincheck watch {id}"));
    told.assert_err_has("does not answer");
}
