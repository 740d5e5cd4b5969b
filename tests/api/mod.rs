//! What HTTP answers: the contract with clients, one file for each part of it.

mod accept;
mod access_log;
mod admission;
mod bad_bytes;
mod bad_input;
mod batch_webhooks;
mod batches;
mod bodiless;
mod cancel;
mod clock_set;
mod clocks;
mod completions;
mod cross_origin;
mod digests;
mod docs;
mod drain;
mod erase;
mod estimates;
mod events;
mod idempotency;
mod key_uses;
mod keys;
mod kinds;
mod large;
mod large_leases;
mod large_tenants;
mod lease_polls;
mod leases;
mod list;
mod logs;
mod openapi;
mod own_hosts;
mod pitfalls;
mod probes;
mod put;
mod queues;
mod quotas;
mod read;
mod redrive;
mod result;
mod retry;
mod schedule_marks;
mod schedules;
mod strict_json;
mod submit;
mod sweep;
mod unread_body;
mod webhook_progress;
mod webhook_secrets;
mod webhook_snippets;
mod webhook_turns;
mod webhook_wishes;
mod webhooks;

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::harness::client::{Answer, Client};
use crate::harness::served::Served;
use crate::harness::wait::until;

const JSON: (&str, &str) = ("content-type", "application/json");

/// `GET` with headers.
async fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    client.send(Method::GET, path, headers, "").await
}

/// `POST /v1/jobs` with a body and, besides its type, headers.
async fn post_job(client: &Client, body: &Value, headers: &[(&str, &str)]) -> Answer {
    post_text(client, &body.to_string(), headers).await
}

/// The same with a body that need not be JSON.
async fn post_text(client: &Client, body: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
    client.send(Method::POST, "/v1/jobs", &headers, body.to_owned()).await
}

/// Demands a problem in its one form; answers its pointers.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) -> Vec<String> {
    let shown = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{shown}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{shown}");
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{shown}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("/docs/errors/{code}"));
    assert_eq!(problem["request_id"], answer.header("x-request-id"), "{shown}");
    assert!(problem["instance"].as_str().is_some_and(|path| path.starts_with('/')), "{shown}");
    assert!(problem["retryable"].is_boolean() && problem["title"].is_string() && problem["detail"].is_string());
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

/// Waits until clients of it wait for a job's next change: a request of theirs has arrived, and is held.
async fn until_held(served: &Served) {
    until("a read to be held", Duration::from_secs(10), async || {
        let page = get(&Client::unchecked(served.client.address()), "/metrics", &[]).await;
        String::from_utf8_lossy(&page.body).contains("\nraincheck_jobs_waited_for 1\n")
    })
    .await;
}
