//! `raincheck submit` and `result` against a real server: inputs from everywhere, results byte for byte, exit codes.

use serde_json::json;

use super::Desk;
use crate::harness::served::{Served, Work};

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_all_that_a_submit_prints_and_its_result_comes_back() {
    let served = Served::working().await;
    let desk = Desk::new();
    let said =
        desk.ask(served.address, &["submit", "echo", "--data", r#"{"a": 1.0}"#, "-t", "x", "-m", "order=42"], b"");
    said.assert_code(0);
    let id = said.out.trim();
    assert_eq!(id.len(), 36, "{}", said.all());
    let result = desk.ask(served.address, &["result", id, "--wait"], b"");
    result.assert_code(0);
    assert_eq!(result.out, r#"{"a": 1.0}"#);
    let status = desk.ask(served.address, &["status", id], b"");
    status.assert_code(0);
    status.assert_out_has("succeeded");
    status.assert_out_has("order=42");
    status.assert_nowhere("\u{1b}[");
    assert_eq!(desk.ask(served.address, &["status", id, "--json"], b"").documents()[0]["tags"], json!(["x"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_come_from_files_and_stdin_and_go_out_as_they_are() {
    let served = Served::with(Work::Worker, &[("jobs.max_input", "8MiB")]).await;
    let desk = Desk::new();
    // Large enough to come in many parts, and no text.
    let big: Vec<u8> = (0..3_000_001_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    std::fs::write(desk.path().join("big.bin"), &big).unwrap();
    let said = desk.ask(served.address, &["submit", "echo", "--file", "big.bin", "--wait", "-o", "copy.bin"], b"");
    said.assert_code(0);
    assert!(said.out.is_empty(), "{}", said.all());
    assert!(std::fs::read(desk.path().join("copy.bin")).unwrap() == big, "the copy is another");
    assert_eq!(desk.files().len(), 2, "a draft was left behind: {:?}", desk.files());

    let stdin = desk.ask(served.address, &["submit", "echo", "-f", "-", "--wait"], b"[1, 2]");
    stdin.assert_code(0);
    assert_eq!(stdin.out, "[1, 2]");
    let text = ["submit", "echo", "-f", "-", "--content-type", "text/plain", "--wait", "--json"];
    let job = &desk.ask(served.address, &text, b"no JSON").documents()[0];
    assert_eq!((&job["status"], &job["result"]["value"]), (&json!("succeeded"), &json!("no JSON")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_lines_is_shown_without_its_end_and_cannot_drive_the_terminal() {
    let served = Served::working().await;
    let desk = Desk::new();
    for (result, shown) in [
        ("955\n", "result    4 B of text/plain: 955\n"),
        ("955\r\n\n", "result    6 B of text/plain: 955\n"),
        ("a\u{1b}[31m\nb\n", "result    9 B of text/plain: a\u{fffd}[31m\u{fffd}b\n"),
        ("\n", "result    1 B of text/plain\n"),
    ] {
        let submit = ["submit", "echo", "--file", "-", "--content-type", "text/plain", "--wait", "--json"];
        let job = &desk.ask(served.address, &submit, result.as_bytes()).documents()[0];
        let status = desk.ask(served.address, &["status", job["id"].as_str().unwrap()], b"");
        status.assert_code(0);
        status.assert_out_has(shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_this_side_is_told_without_asking() {
    let served = Served::idle().await;
    let desk = Desk::new();
    for (arguments, input, says) in [
        (&["submit", "echo", "--file", "nowhere.json"][..], "", "nowhere.json cannot be read"),
        (&["submit", "echo", "--data", "{oops"], "", "--data is no JSON"),
        (&["submit", "echo", "--file", "-"], "plain", "--content-type"),
        (&["submit", "echo", "-m", "x"], "", "order=42"),
        (&["submit", "echo", "-m", "a=b", "-m", "c=d", "-m", "a=c"], "", "--metadata a is given twice"),
        (&["submit", "echo", "-f", "-", "--content-type", "text/plain", "-m", "a=b"], "x", "--metadata"),
        (&["status", "no-id"], "", "no-id"),
        (&["--set", "http.workers=1", "kinds"], "", "--set"),
        (&["kinds", "--url", "ftp://host"], "", "\"ftp://host\" is not a URL such as http://127.0.0.1:8080"),
        (&["kinds", "--url", "https://host", "--ca-file", "nowhere.pem"], "", "nowhere.pem cannot be read"),
        (&["submit", "echo", "--idempotency-key", "a\"b"], "", "without quotes"),
        (&["kinds", "--profile", "work"], "", "no profile \"work\""),
        (&["top"], "", "needs a terminal"),
    ] {
        let said = desk.ask(served.address, arguments, input.as_bytes());
        said.assert_code(2);
        said.assert_err_has(says);
    }
    assert_eq!(desk.ask(served.address, &["list", "--json"], b"").out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_shows_its_pointers_and_request_and_ends_with_7() {
    let served = Served::idle().await;
    let desk = Desk::new();
    let said = desk.ask(served.address, &["submit", "typed", "--data", r#"{"n": "x"}"#], b"");
    said.assert_code(7);
    said.assert_err_has("input-invalid");
    said.assert_err_has("/input/n: ");
    assert_eq!(said.err.matches("/input/n").count(), 1, "it is said twice: {}", said.all());
    said.assert_err_has("request ");
    assert!(said.out.is_empty(), "{}", said.all());
    let said = desk.ask(served.address, &["submit", "nothing", "--data", "1"], b"");
    said.assert_code(6);
    said.assert_err_has("kind-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_job_and_none_is_a_new_one() {
    let served = Served::idle().await;
    let desk = Desk::new();
    let submit = |key: &[&str]| {
        let said = desk.ask(served.address, &[&["submit", "echo", "--data", "1"], key].concat(), b"");
        said.assert_code(0);
        said.out
    };
    let key = ["--idempotency-key", "order 42"];
    assert_eq!(submit(&key), submit(&key));
    assert_ne!(submit(&[]), submit(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_ends_with_4_and_one_that_was_canceled_with_5() {
    let served = Served::working().await;
    let desk = Desk::new();
    let said = desk.ask(served.address, &["submit", "failing", "--data", "1", "--wait"], b"");
    said.assert_code(4);
    said.assert_err_has("exited with code 3");
    said.assert_err_has("\n  | it said no\n");
    assert!(said.out.is_empty(), "{}", said.all());
    let id = desk.ask(served.address, &["list", "--kind", "failing", "--json"], b"").documents()[0]["id"].clone();
    let id = id.as_str().unwrap();
    for command in [&["result", id][..], &["watch", id], &["result", id, "-o", "out"]] {
        desk.ask(served.address, command, b"").assert_code(4);
    }
    assert!(desk.files().is_empty(), "{:?}", desk.files());
    // Once more is a job of its own, and fails as well.
    let again = desk.ask(served.address, &["retry", id, "--follow", "--json"], b"");
    again.assert_code(4);
    assert_eq!(again.documents().last().unwrap()["retry_of"], id);

    let waits = desk.ask(served.address, &["submit", "echo", "--delay", "1h"], b"");
    let id = waits.out.trim();
    let canceled = desk.ask(served.address, &["cancel", id, "--reason", "no more"], b"");
    canceled.assert_code(0);
    assert_eq!(canceled.out, format!("{id}  canceled\n"));
    for command in [["watch", id], ["result", id]] {
        let said = desk.ask(served.address, &command, b"");
        said.assert_code(5);
        said.assert_err_has("no more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_result_is_refused_and_an_unknown_job_not_found() {
    let served = Served::idle().await;
    let desk = Desk::new();
    let id = desk.ask(served.address, &["submit", "echo"], b"").out;
    let said = desk.ask(served.address, &["result", id.trim()], b"");
    said.assert_code(7);
    said.assert_err_has("job-not-finished");
    let unknown = "01890000-0000-7000-8000-000000000000";
    for command in ["status", "watch", "result", "cancel", "retry"] {
        let said = desk.ask(served.address, &[command, unknown], b"");
        said.assert_code(6);
        assert!(said.out.is_empty(), "{}", said.all());
    }
    // One of several that is not there does not hide the others.
    let said = desk.ask(served.address, &["status", unknown, id.trim(), "--json"], b"");
    said.assert_code(6);
    assert_eq!(said.documents()[0]["id"], id.trim());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_expired_ends_with_5_and_a_result_that_cannot_be_written_with_1() {
    let served = Served::idle().await;
    let desk = Desk::new();
    // Nobody is there to start it. If it did not expire, the wait would end with another code.
    let late = ["submit", "echo", "--start-timeout", "1s", "--wait", "--at-most", "60s"];
    let said = desk.ask(served.address, &late, b"");
    said.assert_code(5);
    said.assert_err_has("has expired");
    let served = Served::working().await;
    let said = desk.ask(served.address, &["submit", "echo", "--data", "1", "--wait", "-o", "no/such/folder/x"], b"");
    said.assert_code(1);
    said.assert_err_has("no/such/folder/x cannot be written");
}
