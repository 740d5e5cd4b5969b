//! `raincheck logs`, and what else is shown of the words of a handler.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{Desk, said};
use crate::harness::served::{Served, Work};
use crate::harness::temp::TempFolder;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_shown_as_far_as_it_is_there_and_followed_to_its_end() {
    let folder = TempFolder::new("raincheck-cli-logs");
    let served = Served::with(Work::Worker, &[("kinds.talking.directory", folder.path().to_str().unwrap())]).await;
    let desk = Desk::new();
    let id = desk.ask(served.address, &["submit", "talking"], b"").out.trim().to_owned();
    let mut child = desk
        .command(&["logs", &id, "--follow"])
        .env("RAINCHECK_URL", format!("http://{}", served.address))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first: Vec<String> = lines.by_ref().take(3).collect();
    assert_eq!(first, ["one", "two", "\u{fffd}three"]);
    // It is still running: what is there is shown, and that is all.
    let early = desk.ask(served.address, &["logs", &id, "--after", "1"], b"");
    early.assert_code(0);
    assert_eq!(early.out, "two\n\u{fffd}three\n");
    std::fs::write(folder.path().join("go"), "").unwrap();
    assert_eq!(lines.collect::<Vec<_>>(), ["four", "five"]);
    said(&child.wait_with_output().unwrap()).assert_code(0);

    let all = desk.ask(served.address, &["logs", &id, "--json"], b"").documents();
    assert_eq!(all.len(), 5);
    assert_eq!((&all[4]["number"], &all[4]["line"]), (&5.into(), &"five".into()));
    let times = desk.ask(served.address, &["logs", &id, "--times"], b"");
    assert!(times.out.lines().all(|line| line.starts_with("20") && line.contains("Z #1  ")), "{}", times.all());
    times.assert_nowhere("\u{1b}[");
    desk.ask(served.address, &["logs", "01890000-0000-7000-8000-000000000000"], b"").assert_code(6);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_an_attempt_failed_is_shown_while_the_next_is_waited_for_and_at_the_end() {
    let settings = [("kinds.failing.max_attempts", "2"), ("kinds.failing.retry_exit_codes", "3")];
    let served = Served::with(Work::Worker, &[&settings[..], &[("kinds.failing.backoff", "1s")]].concat()).await;
    let desk = Desk::new();
    let said = desk.ask(served.address, &["submit", "failing", "--data", "1", "--follow"], b"");
    said.assert_code(4);
    said.assert_out_has("attempt 1 failed: exited with code 3: it said no");
    said.assert_err_has("\n  | it said no\n");
    let id = desk.ask(served.address, &["list", "--json"], b"").documents()[0]["id"].clone();
    let status = desk.ask(served.address, &["status", id.as_str().unwrap()], b"");
    status.assert_out_has("| it said no");
}
