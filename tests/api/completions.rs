//! `/v1/completions`: upstreams that accept a job, and end it by a POST of their own.

use std::time::Duration;

use raincheck_shared::domain::Scope;
use raincheck_shared::lifecycle::IdSource;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::keys::holder;
use super::{JSON, assert_problem, get};
use crate::harness::client::{Answer, Client};
use crate::harness::receiver::Receiver;
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(20);
const PROBLEM: (&str, &str) = ("content-type", "application/problem+json");
const BASE: &str = "https://jobs.example.com/base";

/// An upstream that answers 202 and nothing more, and kinds that it runs: one, and one that has a second and two attempts.
async fn on_each_store(settings: &[(&str, &str)]) -> Vec<(Served, Receiver)> {
    let mut all = Vec::new();
    for postgres in [false, true] {
        let upstream = Receiver::answering(202).await;
        let url = upstream.url();
        let own = [
            ("http.public_url", BASE),
            ("kinds.order.http", url.as_str()),
            ("kinds.order.completion", "callback"),
            ("kinds.order.concurrency", "1"),
            ("kinds.order.backoff", "1ms"),
            ("kinds.brief.http", url.as_str()),
            ("kinds.brief.completion", "callback"),
            ("kinds.brief.timeout", "1s"),
            ("kinds.brief.backoff", "1ms"),
            ("kinds.brief.max_attempts", "2"),
        ];
        let settings = [&own, settings].concat();
        let served = if postgres {
            Served::on_postgres(Work::Worker, &settings).await
        } else {
            Served::with(Work::Worker, &settings).await
        };
        all.push((served, upstream));
    }
    all
}

/// The path of the n-th URL that the upstream was sent, without the public part.
async fn path(upstream: &Receiver, n: usize) -> String {
    let heard = upstream.until(n).await[n - 1].clone();
    let url = heard.header("raincheck-completion-url");
    url.strip_prefix(BASE).unwrap_or_else(|| panic!("{url:?}")).to_owned()
}

async fn post(client: &Client, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
    client.send(Method::POST, path, headers, body).await
}

async fn cancel(client: &Client, job: &str) -> Answer {
    post(client, &format!("/v1/jobs/{job}/cancel"), &[JSON], r#"{"reason":"enough"}"#).await
}

/// Waits until the worker has let go of a job: its one slot is free.
async fn handed_over(served: &Served, jobs: usize) {
    let what = format!("{jobs} jobs to be the upstream's");
    until(&what, SOON, async || {
        let queue = get(&served.client, "/v1/queues/default", &[]).await.json();
        // The worker, and what upstreams run beside it.
        let all = served.store.queues.find_ledger().await.unwrap().workers;
        queue["workers"] == 1 && all.iter().filter(|one| one.report.awaits_upstream).count() == jobs
    })
    .await;
}

#[tokio::test]
async fn an_upstream_ends_its_job_with_a_post_and_meanwhile_holds_no_slot() {
    for (served, upstream) in on_each_store(&[]).await {
        let client = &served.client;
        let first = client.submit("order", &json!({"dish": "ramen"})).await;
        let second = client.submit("order", &json!({"dish": "soba"})).await;
        // With one slot, the second is sent only once the first holds none.
        let urls = [path(&upstream, 1).await, path(&upstream, 2).await];
        handed_over(&served, 2).await;
        // The worker says so with its next sign of life.
        until("the worker to hold nothing", SOON, async || {
            get(client, "/v1/queues/default", &[]).await.json()["running"] == 2
        })
        .await;
        assert_eq!(client.job(&first).await["status"], "in_progress");
        assert!(urls[0].starts_with(&format!("/v1/completions/{first}.")), "{urls:?}");

        let text = [("content-type", "text/csv")];
        let done = post(client, &urls[0], &text, "a,b\n").await;
        assert_eq!((done.status, &done.json()["status"]), (200, &json!("succeeded")), "{done:?}");
        assert_eq!(post(client, &urls[0], &text, "a,b\n").await.json(), done.json(), "the same sent twice");
        assert_problem(&post(client, &urls[0], &text, "c,d\n").await, 409, "lease-lost");
        assert_problem(&post(client, &urls[0], &[PROBLEM], "{}").await, 409, "lease-lost");
        let result = get(client, &format!("/v1/jobs/{first}/result"), &[]).await;
        assert_eq!((result.header("content-type"), result.body.as_ref()), ("text/csv", &b"a,b\n"[..]));
        assert_eq!(post(client, &urls[1], &[JSON], "[1]").await.status, 200);
        assert_eq!(client.done(&second).await["result"]["value"], json!([1]));
        handed_over(&served, 0).await;
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_problem_fails_the_job_for_good_or_for_one_more_attempt_under_another_url() {
    for (served, upstream) in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("order", &json!(1)).await;
        let first = path(&upstream, 1).await;
        let again = json!({"title": "Busy", "detail": "no noodles yet", "retryable": true}).to_string();
        assert_eq!(post(client, &first, &[PROBLEM], again.clone()).await.json()["status"], "retrying");
        let second = path(&upstream, 2).await;
        assert_ne!(first, second);
        assert_problem(&post(client, &first, &[PROBLEM], again).await, 409, "lease-lost");
        assert_problem(&post(client, &first, &[JSON], "1").await, 409, "lease-lost");
        let never = json!({"title": "No such dish", "balance": 3}).to_string();
        for _ in 0..2 {
            assert_eq!(post(client, &second, &[PROBLEM], never.clone()).await.json()["status"], "failed");
        }
        let ended = client.job(&job).await;
        let error = &ended["error"];
        assert_eq!((&error["code"], &error["message"]), (&json!("upstream-status"), &json!("No such dish")), "{ended}");
        assert!(error["detail"].to_string().contains("balance"), "{error}");
        assert_eq!(
            (&ended["attempt"], &ended["attempts"][0]["error"]["message"]),
            (&json!(2), &json!("no noodles yet"))
        );
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn what_was_never_sent_ends_nothing() {
    for (served, upstream) in on_each_store(&[("kinds.hauled.remote", "true")]).await {
        let client = &served.client;
        let job = client.submit("order", &json!(1)).await;
        let url = path(&upstream, 1).await;
        let forged = format!("/v1/completions/{job}.{}", IdSource.random().simple());
        for (path, headers, status, code) in [
            (forged.as_str(), JSON, 409, "lease-lost"),
            (&forged, PROBLEM, 409, "lease-lost"),
            ("/v1/completions/nonsense", JSON, 400, "malformed-request"),
            (&url.to_uppercase().replace("/V1/COMPLETIONS", "/v1/completions"), JSON, 400, "malformed-request"),
            (&url, PROBLEM, 400, "malformed-request"),
            (&format!("{url}?x=1"), JSON, 422, "input-invalid"),
        ] {
            assert_problem(&post(client, path, &[headers], "[]").await, status, code);
        }
        let wrong = r#"{"detail": 7, "retryable": "yes"}"#;
        let answer = post(client, &url, &[PROBLEM], wrong).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), ["/detail", "/retryable"]);
        assert_eq!(client.job(&job).await["status"], "in_progress");

        // The token of a lease is half of what a remote worker shows: the other half is its key.
        let hauled = client.submit("hauled", &json!(1)).await;
        let wish = json!({"kinds": ["hauled"]}).to_string();
        let lease = post(client, "/v1/leases", &[JSON, ("prefer", "wait=20")], wish).await.json()["leases"][0].clone();
        let held = format!("/v1/completions/{}", lease["token"].as_str().unwrap());
        assert_problem(&post(client, &held, &[JSON], "1").await, 409, "lease-lost");
        assert_eq!(client.job(&hauled).await["status"], "in_progress");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn the_url_is_all_that_is_needed_where_everything_else_needs_a_key() {
    for (served, upstream) in on_each_store(&[("auth.required", "true")]).await {
        let key = holder(&served, "tenant", &[Scope::JobsWrite, Scope::JobsRead]).await;
        let key = [("authorization", key.as_str())];
        let job = post(&served.client, "/v1/kinds/order/jobs", &key, "input").await.job_id();
        let url = path(&upstream, 1).await;
        let own = format!("/v1/jobs/{job}");
        assert_problem(&get(&served.client, &own, &[]).await, 401, "unauthenticated");
        assert_eq!(post(&served.client, &url, &[JSON], "1").await.status, 200);
        assert_eq!(get(&served.client, &own, &key).await.json()["status"], "succeeded");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_cancel_ends_a_job_that_an_upstream_has_within_a_moment() {
    for (served, upstream) in on_each_store(&[("jobs.cancel_grace", "1m")]).await {
        let client = &served.client;
        let job = client.submit("order", &json!(1)).await;
        let url = path(&upstream, 1).await;
        handed_over(&served, 1).await;
        assert_eq!(cancel(client, &job).await.status, 202);
        let ended = client.done(&job).await;
        assert_eq!((&ended["status"], &ended["cancel"]["reason"]), (&json!("canceled"), &json!("enough")), "{ended}");
        assert_eq!(ended["cancel"]["acknowledged_at"], json!(null));
        assert_problem(&post(client, &url, &[JSON], "1").await, 409, "lease-lost");
        handed_over(&served, 0).await;

        // And what comes between the cancel and its end does not count.
        let batch = json!({"jobs": [{"kind": "order", "input": 2}]}).to_string();
        let made = post(client, "/v1/batches", &[JSON], batch).await;
        let batch = made.header("location").strip_prefix(BASE).unwrap().to_owned();
        let job = made.json()["items"][0]["job"]["id"].clone();
        path(&upstream, 2).await;
        handed_over(&served, 1).await;
        post(client, &format!("{batch}/cancel"), &[JSON], "{}").await;
        assert_eq!(client.done(job.as_str().unwrap()).await["status"], "canceled");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn an_upstream_that_takes_too_long_loses_the_job_to_a_run_timeout_and_is_asked_once_more() {
    for (served, upstream) in on_each_store(&[]).await {
        let client = &served.client;
        let job = client.submit("brief", &json!(1)).await;
        let ended = client.done(&job).await;
        assert_eq!((&ended["status"], &ended["attempt"]), (&json!("failed"), &json!(2)), "{ended}");
        assert_eq!(ended["attempts"][0]["error"]["code"], "run-timeout");
        assert_eq!(upstream.heard().len(), 2);
        for n in 1..=2 {
            assert_problem(&post(client, &path(&upstream, n).await, &[JSON], "1").await, 409, "lease-lost");
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_large_result_comes_through_and_one_that_is_too_large_is_refused() {
    let small = [("jobs.max_output", "300KiB"), ("blobs.in_database", "64KiB"), ("jobs.inline_result", "1KiB")];
    for (served, upstream) in on_each_store(&small).await {
        let client = &served.client;
        let job = client.submit("order", &json!(1)).await;
        let url = path(&upstream, 1).await;
        let large: Vec<u8> = (0..250 * 1024_u32).map(|n| n.to_le_bytes()[0]).collect();
        assert_problem(&post(client, &url, &[], vec![7; 300 * 1024 + 1]).await, 413, "payload-too-large");
        for _ in 0..2 {
            assert_eq!(post(client, &url, &[("content-type", "image/x")], large.clone()).await.status, 200);
        }
        let result = get(client, &format!("/v1/jobs/{job}/result"), &[]).await;
        assert_eq!(result.header("content-type"), "image/x");
        assert!(result.body == large, "{} bytes", result.body.len());
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn an_upstream_may_end_its_job_before_it_has_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let own = [("http.public_url", BASE), ("kinds.order.http", url.as_str()), ("kinds.order.completion", "callback")];
    for served in [Served::with(Work::Worker, &own).await, Served::on_postgres(Work::Worker, &own).await] {
        let client = &served.client;
        let job = client.submit("order", &json!(1)).await;
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            assert_ne!(socket.read_buf(&mut head).await.unwrap(), 0);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(BASE).nth(1).unwrap().lines().next().unwrap();
        assert_eq!(post(client, path, &[JSON], "[7]").await.json()["status"], "succeeded");
        socket.write_all(b"HTTP/1.1 202 Yes\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(client.done(&job).await["result"]["value"], json!([7]));
        until("the slot to be free", SOON, async || {
            let workers = served.store.queues.find_ledger().await.unwrap().workers;
            workers.iter().flat_map(|worker| &worker.report.queues).all(|queue| queue.running == 0)
        })
        .await;
        assert!(served.stop().await);
    }
}
