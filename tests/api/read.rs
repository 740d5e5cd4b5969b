//! `GET /v1/jobs/{id}`.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{assert_problem, get, post_job, until_held};
use crate::harness::served::{Served, Work};
use crate::harness::wait::{now, until};

#[tokio::test]
async fn a_live_job_says_when_to_ask_again_and_an_unchanged_one_is_not_sent_twice() {
    let served = Served::idle().await;
    let path = format!("/v1/jobs/{}", served.client.submit("echo", &json!(1)).await);
    let live = get(&served.client, &path, &[]).await;
    assert_eq!((live.status, live.header("etag")), (200, "\"1\""));
    assert_eq!(live.header("cache-control"), "private, no-cache");
    let seconds: u64 = live.header("retry-after").parse().unwrap();
    assert!(seconds >= 1);
    assert!(live.json()["poll_after_ms"].as_u64().unwrap() >= 1_000);
    assert_eq!(live.header("sunset"), "");

    for tags in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
        let unchanged = get(&served.client, &path, &[("if-none-match", tags)]).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{tags}");
        assert_eq!(unchanged.header("etag"), "\"1\"");
        assert_ne!(unchanged.header("retry-after"), "");
    }
    for tags in ["\"0\"", "\"abc\"", "1", "\"2\""] {
        assert_eq!(get(&served.client, &path, &[("if-none-match", tags)]).await.status, 200, "{tags}");
    }
    let head = served.client.send(Method::HEAD, &path, &[], "").await;
    assert_eq!((head.status, head.header("etag"), head.body.len()), (200, "\"1\"", 0));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_held_read_is_answered_when_the_job_ends() {
    let served = Served::working().await;
    let id = served.client.submit("sleep", &json!({"seconds": 0.5})).await;
    let path = format!("/v1/jobs/{id}");
    for headers in [&[("prefer", "wait=15")][..], &[]] {
        let query = if headers.is_empty() { "?wait=15s" } else { "" };
        let started = now();
        let answer = get(&served.client, &format!("{path}{query}"), headers).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("succeeded")));
        assert_eq!(answer.header("retry-after"), "");
        assert_ne!(answer.header("sunset"), "");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_held_read_with_a_version_is_answered_at_the_next_one() {
    let served = Served::working().await;
    let id = served.client.submit("sleep", &json!({"seconds": 20})).await;
    let path = format!("/v1/jobs/{id}");
    let mut seen = 1;
    let answer = get(&served.client, &path, &[("if-none-match", "\"1\""), ("prefer", "wait=15")]).await;
    assert_eq!(answer.status, 200);
    let job = answer.json();
    assert!(job["version"].as_i64().unwrap() > seen);
    assert_eq!(job["done"], false);
    seen = job["version"].as_i64().unwrap();

    let cancel = async {
        until_held(&served).await;
        served.client.send(Method::POST, &format!("{path}/cancel"), &[], "").await
    };
    let tag = format!("\"{seen}\"");
    let headers = [("if-none-match", tag.as_str()), ("prefer", "wait=15")];
    let (held, canceled) = tokio::join!(get(&served.client, &path, &headers), cancel);
    assert_eq!(held.status, 200);
    assert!(held.json()["version"].as_i64().unwrap() > seen);
    assert!([200, 202].contains(&canceled.status));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_held_read_that_saw_nothing_answers_304_or_200() {
    let served = Served::idle().await;
    let path = format!("/v1/jobs/{}?wait=1s", served.client.submit("echo", &json!(1)).await);
    let started = now();
    assert_eq!(get(&served.client, &path, &[]).await.status, 200);
    assert_eq!(get(&served.client, &path, &[("if-none-match", "\"1\"")]).await.status, 304);
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_change_that_nobody_announced_is_seen_within_seconds() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let job: raincheck_shared::domain::JobId = id.parse().unwrap();
    let path = format!("/v1/jobs/{id}?wait=15s");
    let change = async {
        until_held(&served).await;
        // Behind the back of the API: no wake-up tells of it.
        served
            .store
            .jobs
            .cancel_job(&raincheck_shared::domain::TenantName::default(), job, None, Duration::from_secs(1))
            .await
            .unwrap();
    };
    let started = now();
    let (held, ()) = tokio::join!(get(&served.client, &path, &[]), change);
    assert_eq!(held.json()["status"], "canceled");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_cancel_its_job() {
    let served = Served::working().await;
    let body = json!({"kind": "sleep", "input": {"seconds": 1}, "tags": ["gone"]});
    let submitting = post_job(&served.client, &body, &[("prefer", "wait=15")]);
    assert!(tokio::time::timeout(Duration::from_millis(400), submitting).await.is_err());
    until("the job to succeed", Duration::from_secs(15), async || {
        let listed = get(&served.client, "/v1/jobs?tag=gone", &[]).await.json();
        listed["jobs"][0]["status"] == "succeeded"
    })
    .await;
    assert!(served.stop().await);
}

#[tokio::test]
async fn unknown_jobs_are_404_and_forgotten_ones_410() {
    let served = Served::working().await;
    // A v7 of today that nobody made, and a v4, which we never make.
    let fresh = raincheck_shared::lifecycle::IdSource.job();
    for id in [fresh.to_string(), raincheck_shared::lifecycle::IdSource.random().to_string()] {
        for path in [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/result"), format!("/v1/jobs/{id}?wait=1s")] {
            assert_problem(&get(&served.client, &path, &[]).await, 404, "job-not-found");
        }
        let cancel = served.client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await;
        assert_problem(&cancel, 404, "job-not-found");
    }
    // A v7 of the year 10889 is not old, however far its time is from ours; a v7 of 2015 is older than anything that is kept.
    let ahead = "/v1/jobs/ffffffff-ffff-7fff-bfff-ffffffffffff";
    assert_problem(&get(&served.client, ahead, &[]).await, 404, "job-not-found");
    let old = "/v1/jobs/014b1f5c-7c00-7000-8000-000000000000";
    assert_problem(&get(&served.client, old, &[]).await, 410, "job-expired");
    assert!(served.stop().await);

    let served = Served::with(Work::Worker, &[("jobs.retention", "1s")]).await;
    let kept = post_job(&served.client, &json!({"kind": "echo"}), &[("prefer", "wait=15")]).await;
    assert_eq!(kept.status, 200);
    let path = format!("/v1/jobs/{}", kept.job_id());
    until("the job to be forgotten", Duration::from_secs(10), async || {
        get(&served.client, &path, &[]).await.status != 200
    })
    .await;
    assert_problem(&get(&served.client, &path, &[]).await, 410, "job-expired");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_redirect_to_the_result_comes_only_when_it_was_asked_for() {
    let served = Served::working().await;
    let path = format!("/v1/jobs/{}", served.client.submit("echo", &json!({"a": 1})).await);
    served.client.done(path.rsplit('/').next().unwrap()).await;
    assert_eq!(get(&served.client, &path, &[]).await.status, 200);
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nprefer: redirect\r\nconnection: close\r\n\r\n");
    let said = served.raw(head.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 303 "), "{said}");
    assert!(said.to_lowercase().contains(&format!("location: {path}/result\r\n")), "{said}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn links_start_with_the_public_url_and_never_with_the_host_that_was_asked() {
    let settings = [("http.public_url", "https://jobs.example.com/"), ("http.allowed_hosts", "evil.example")];
    let served = Served::with(Work::Nobody, &settings).await;
    let answer =
        post_job(&served.client, &json!({"kind": "echo"}), &[("host", "evil.example"), ("x-forwarded-host", "evil")])
            .await;
    let url = format!("https://jobs.example.com/v1/jobs/{}", answer.job_id());
    assert_eq!(answer.header("location"), url);
    assert_eq!(answer.json()["links"]["self"], url);
    assert!(served.stop().await);
}
