//! `raincheck list`, `queues`, `kinds`, completions and profiles against a real server, and against none.

use std::process::Stdio;

use reqwest::Method;

use super::Desk;
use crate::harness::served::Served;

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_paged_and_end_quietly_when_nobody_reads() {
    let served = Served::idle().await;
    let desk = Desk::new();
    for n in 0..60 {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        let path = format!("/v1/kinds/echo/jobs?tags={tag}");
        let answer = served.client.send(Method::POST, &path, &[], n.to_string()).await;
        assert_eq!(answer.status, 202);
    }
    let all = desk.ask(served.address, &["list", "--all", "--json"], b"");
    assert_eq!(all.documents().len(), 60);
    assert_eq!(desk.ask(served.address, &["list", "-n", "7", "--json"], b"").documents().len(), 7);
    let even = desk.ask(served.address, &["list", "-t", "even", "--status", "queued", "--all", "--json"], b"");
    assert_eq!(even.documents().len(), 30);
    let table = desk.ask(served.address, &["list", "-n", "3"], b"");
    table.assert_code(0);
    assert_eq!(table.out.lines().count(), 4, "{}", table.all());
    table.assert_out_has("STATUS");
    table.assert_nowhere("\u{1b}[");
    desk.ask(served.address, &["list", "--status", "nonsense"], b"").assert_code(7);

    let mut child = desk
        .command(&["list", "--all", "--json"])
        .env("RAINCHECK_URL", format!("http://{}", served.address))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let said = super::said(&child.wait_with_output().unwrap());
    said.assert_code(141);
    assert!(said.err.is_empty(), "{}", said.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_shown_paused_and_resumed() {
    let served = Served::idle().await;
    let desk = Desk::new();
    let table = desk.ask(served.address, &["queues"], b"");
    table.assert_code(0);
    table.assert_out_has("apart");
    let paused = desk.ask(served.address, &["queues", "pause", "apart", "--json"], b"");
    paused.assert_code(0);
    assert_eq!(paused.documents()[0]["paused"], true);
    desk.ask(served.address, &["queues", "list", "apart"], b"").assert_out_has("paused");
    desk.ask(served.address, &["queues", "resume", "apart"], b"").assert_out_has("open");
    let unknown = desk.ask(served.address, &["queues", "pause", "nowhere"], b"");
    unknown.assert_code(6);
    unknown.assert_err_has("queue-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_made_looked_ahead_paused_triggered_and_deleted() {
    let served = Served::idle().await;
    let desk = Desk::new();
    let ask = |arguments: &[&str]| desk.ask(served.address, &[&["schedules"], arguments].concat(), b"");
    let put = ["put", "report", "--cron", "Europe/Zurich 30 2 * * *", "--kind", "echo", "--data", "{\"a\": 1}"];
    let preview = ask(&[&put[..], &["--validate-only"]].concat());
    preview.assert_code(0);
    preview.assert_out_has("would be accepted");
    ask(&["show", "report"]).assert_code(6);
    ask(&put).assert_out_has("Europe/Zurich 30 2 * * *");
    let shown = ask(&["show", "report", "--runs", "3", "--json"]);
    assert_eq!(shown.documents()[0]["next"].as_array().unwrap().len(), 3);
    let table = ask(&[]);
    table.assert_code(0);
    table.assert_out_has("T02:30:00+0");
    ask(&["pause", "report"]).assert_out_has("paused");
    let (first, again) =
        (ask(&["trigger", "report", "--idempotency-key", "k"]), ask(&["trigger", "report", "--idempotency-key", "k"]));
    first.assert_code(0);
    assert_eq!(first.out, again.out);
    assert_eq!(ask(&["resume", "report", "--json"]).documents()[0]["paused"], false);
    assert_eq!(ask(&["list", "--json"]).documents().len(), 1);
    let wrong = ask(&["put", "report", "--cron", "0 25 * * *", "--kind", "echo"]);
    wrong.assert_code(7);
    wrong.assert_err_has("the hour");
    assert_eq!(ask(&["delete", "report"]).out, "report  deleted\n");
    ask(&["delete", "report"]).assert_code(6);
    ask(&put).assert_code(0);
    assert_eq!(ask(&["delete", "report", "--json"]).documents()[0]["deleted"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_listed_and_one_shows_its_schema() {
    let served = Served::idle().await;
    let desk = Desk::new();
    desk.ask(served.address, &["kinds"], b"").assert_out_has("image/*");
    desk.ask(served.address, &["kinds", "typed"], b"").assert_out_has("\"required\"");
    assert_eq!(desk.ask(served.address, &["kinds", "typed", "--json"], b"").documents()[0]["name"], "typed");
    desk.ask(served.address, &["kinds", "nothing"], b"").assert_code(6);
}

#[test]
fn an_instance_that_is_not_there_is_tried_for_a_while_and_then_8() {
    let desk = Desk::new();
    let said = desk.ask("127.0.0.1:1", &["list", "--patience", "500ms"], b"");
    said.assert_code(8);
    said.assert_err_has("http://127.0.0.1:1 does not answer");
    // Nobody knows whether it was accepted; the key makes sure.
    let said = desk.ask("127.0.0.1:1", &["submit", "echo", "--patience", "0s", "--idempotency-key", "k7"], b"");
    said.assert_code(8);
    said.assert_err_has("--idempotency-key k7");
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_say_where_and_flags_win_and_no_key_is_printed() {
    let served = Served::idle().await;
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path().join("raincheck")).unwrap();
    let file = desk.path().join("raincheck/client.toml");
    let text = format!(
        "default = \"here\"\n[profiles.here]\nurl = \"http://{}\"\napi_key = \"rk_pa55\"\n\
         [profiles.gone]\nurl = \"http://127.0.0.1:1\"\n",
        served.address
    );
    std::fs::write(&file, text).unwrap();
    let home = [("XDG_CONFIG_HOME", desk.path().to_str().unwrap())];
    desk.run_with(&["kinds"], &home).assert_code(0);
    let gone = desk.run_with(&["kinds", "--profile", "gone", "--patience", "0s"], &home);
    gone.assert_code(8);
    gone.assert_err_has("http://127.0.0.1:1");
    let url = format!("http://{}", served.address);
    desk.run_with(&["kinds", "--profile", "gone", "--url", &url], &home).assert_code(0);
    std::fs::write(&file, "[profiles.here]\nurl = 1\napi_key = \"rk_pa55\"\n").unwrap();
    let broken = desk.run_with(&["kinds"], &home);
    broken.assert_code(2);
    broken.assert_err_has("client.toml: line 2: ");
    broken.assert_nowhere("pa55");
}

#[test]
fn completions_and_the_man_page_know_every_command() {
    let desk = Desk::new();
    for (arguments, marks) in [
        (&["completions", "bash"][..], ["complete -F", "logs", "pause"]),
        (&["completions", "zsh"], ["#compdef raincheck", "submit", "pause"]),
        (&["completions", "fish"], ["complete -c raincheck", "submit", "pause"]),
        (&["man"], [".TH raincheck", ".SH LOGS", "idempotency"]),
    ] {
        let said = desk.run(arguments);
        said.assert_code(0);
        for mark in marks {
            said.assert_out_has(mark);
        }
    }
}
