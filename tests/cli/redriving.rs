//! `raincheck redrive`: what it would try, and what it tries.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{Desk, Said};
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_named_by_a_dry_run_and_tried_once_more_without_it() {
    let served = Served::working().await;
    let desk = Desk::new();
    let ask = |arguments: &[&str]| desk.ask(served.address, arguments, b"");
    let mut old = Vec::new();
    for _ in 0..3 {
        let said = ask(&["submit", "failing", "--data", "1", "--tag", "a", "--follow", "--json"]);
        said.assert_code(4);
        old.push(said.documents()[0]["id"].as_str().unwrap().to_owned());
    }
    old.sort();
    ask(&["submit", "failing", "--data", "1", "--wait"]).assert_code(4);
    let redrive = |more: &[&str]| ask(&[&["redrive", "--kind", "failing", "--tag", "a"], more].concat());
    let failed = || ask(&["list", "--kind", "failing", "--all", "--json"]).documents().len();

    let dry = redrive(&["--dry-run"]);
    dry.assert_code(0);
    assert_eq!(sorted(&dry), old);
    let dry = redrive(&["--dry-run", "--json"]);
    assert!(dry.documents().iter().all(|job| old.contains(&text(&job["id"])) && job["retried_by"].is_null()));
    assert_eq!((dry.documents().len(), failed()), (3, 4), "a dry run made jobs");

    let done = redrive(&["--json"]);
    done.assert_code(0);
    let pairs = done.documents();
    assert_eq!(pairs.len(), 3);
    for pair in &pairs {
        let again = ask(&["watch", &text(&pair["retried_by"]), "--json"]);
        again.assert_code(4);
        assert_eq!(text(&again.documents()[0]["retry_of"]), text(&pair["id"]));
    }
    let mut tried: Vec<String> = pairs.iter().map(|pair| text(&pair["id"])).collect();
    tried.sort();
    assert_eq!((tried, failed()), (old, 7));

    // The new ones have failed too, and are what is tried next; of them one.
    let one = redrive(&["-n", "1"]);
    one.assert_code(0);
    let (from, to) = one.out.trim().split_once(" → ").unwrap();
    assert!(pairs.iter().any(|pair| text(&pair["retried_by"]) == from) && from != to, "{}", one.all());
    ask(&["redrive", "--error-code", "worker-lost"]).assert_code(0);
    ask(&["redrive", "--since", "yesterday"]).assert_code(7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_tried_again_is_named_and_the_exit_code_says_so() {
    let served = Served::with(Work::Worker, &[("upkeep.retention", "200ms")]).await;
    let desk = Desk::new();
    let body = json!({"kind": "failing", "input": 1, "retention": {"input": "1s", "result": "1d"}});
    let json = [("content-type", "application/json")];
    let id = served.client.send(Method::POST, "/v1/jobs", &json, body.to_string()).await.job_id();
    served.client.done(&id).await;
    until("the input to go", Duration::from_secs(20), async || {
        served.store.jobs.find_input(id.parse().unwrap()).await.unwrap().is_none()
    })
    .await;
    let refused = desk.ask(served.address, &["redrive"], b"");
    refused.assert_code(7);
    assert!(refused.out.is_empty() && refused.err.contains(&id), "{}", refused.all());
    let dry = desk.ask(served.address, &["redrive", "--dry-run"], b"");
    dry.assert_code(0);
    assert_eq!(dry.out.trim(), id);
    assert!(served.stop().await);
}

fn sorted(said: &Said) -> Vec<String> {
    let mut lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
