//! What a tenant may use.

use reqwest::Method;

use super::{JSON, assert_problem, get};
use crate::harness::client::Answer;
use crate::harness::served::{Served, Work};

async fn submit(served: &Served, key: Option<&str>) -> Answer {
    let headers: Vec<_> = [JSON].into_iter().chain(key.map(|key| ("idempotency-key", key))).collect();
    served.client.send(Method::POST, "/v1/jobs", &headers, r#"{"kind":"echo","input":1}"#).await
}

#[tokio::test]
async fn without_a_quota_nothing_is_said_of_one() {
    let served = Served::idle().await;
    let answer = submit(&served, None).await;
    assert_eq!((answer.status, answer.header("ratelimit"), answer.header("ratelimit-policy")), (202, "", ""));
    assert!(served.stop().await);
}

#[tokio::test]
async fn submits_beyond_the_quota_are_refused_with_the_time_to_wait() {
    let served = Served::with(Work::Nobody, &[("quotas.submits_per_minute", "3")]).await;
    for left in (0..3).rev() {
        let answer = submit(&served, None).await;
        assert_eq!((answer.status, answer.header("ratelimit-policy")), (202, "\"submit\";q=3;w=60"));
        let rest = answer.header("ratelimit");
        assert!(rest.starts_with(&format!("\"submit\";r={left};t=")), "{rest}");
    }
    let answer = submit(&served, None).await;
    assert_problem(&answer, 429, "quota-exceeded");
    assert!(answer.json()["detail"].as_str().unwrap().contains("submits_per_minute"), "{answer:?}");
    assert!(answer.header("ratelimit").starts_with("\"submit\";r=0;t="), "{answer:?}");
    let wait: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "a third of a minute at most: {wait}");
    // What makes nothing costs nothing.
    for _ in 0..20 {
        assert_eq!(get(&served.client, "/v1/jobs", &[]).await.status, 200);
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_is_refused_for_its_own_sake_costs_nothing() {
    let served = Served::with(Work::Nobody, &[("quotas.submits_per_minute", "1")]).await;
    for body in [r#"{"kind":"typed","input":1}"#, r#"{"kind":"echo","input":1,"validate_only":true}"#, "{"] {
        for _ in 0..3 {
            let answer = served.client.send(Method::POST, "/v1/jobs", &[JSON], body).await;
            assert!(matches!(answer.status, 200 | 400 | 422), "{answer:?}");
        }
    }
    assert_eq!(submit(&served, None).await.status, 202);
    assert_eq!(submit(&served, None).await.status, 429);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_repeated_request_is_answered_although_the_quotas_are_used_up() {
    let settings = [("quotas.submits_per_minute", "2"), ("quotas.queued", "2")];
    for settings in [&settings[..1], &settings[1..], &settings[..]] {
        let served = Served::with(Work::Nobody, settings).await;
        let first = submit(&served, Some("a")).await;
        assert_eq!(submit(&served, Some("b")).await.status, 202);
        for _ in 0..5 {
            let again = submit(&served, Some("a")).await;
            assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"), "{again:?}");
            assert_eq!(again.job_id(), first.job_id());
            assert_eq!(submit(&served, Some("c")).await.status, 429);
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn repeating_a_request_does_not_use_the_quota_up() {
    let served = Served::with(Work::Nobody, &[("quotas.submits_per_minute", "2")]).await;
    for _ in 0..10 {
        assert_eq!(submit(&served, Some("a")).await.status, 202);
    }
    assert_eq!(submit(&served, None).await.status, 202);
    assert_eq!(submit(&served, None).await.status, 429);
    assert!(served.stop().await);
}

async fn submit_batch(served: &Served, keys: [&str; 2], of_whole: Option<&str>) -> Answer {
    let jobs = keys.map(|key| format!(r#"{{"kind":"echo","input":1,"idempotency_key":"{key}"}}"#));
    let headers: Vec<_> = [JSON].into_iter().chain(of_whole.map(|key| ("idempotency-key", key))).collect();
    served.client.send(Method::POST, "/v1/batches", &headers, format!(r#"{{"jobs":[{}]}}"#, jobs.join(","))).await
}

#[tokio::test]
async fn what_of_a_batch_makes_no_job_does_not_use_the_quota_up() {
    let served = Served::with(Work::Nobody, &[("quotas.submits_per_minute", "5")]).await;
    for _ in 0..4 {
        assert_eq!(submit_batch(&served, ["a", "b"], Some("whole")).await.json()["accepted"], 2);
    }
    for _ in 0..4 {
        assert_problem(&submit_batch(&served, ["c", "d"], Some("whole")).await, 422, "idempotency-key-reused");
    }
    for _ in 0..4 {
        assert_eq!(submit_batch(&served, ["a", "b"], None).await.json()["accepted"], 2, "both are known");
    }
    for _ in 0..3 {
        assert_eq!(submit(&served, None).await.status, 202, "five, without the two of the batch");
    }
    assert_eq!(submit(&served, None).await.status, 429);
    assert!(served.stop().await);
}

#[tokio::test]
async fn no_more_jobs_wait_than_the_quota_says_and_room_is_found_again() {
    let served = Served::with(Work::Nobody, &[("quotas.queued", "5"), ("upkeep.lost_dispatches", "100ms")]).await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(submit(&served, None).await.job_id());
    }
    let answer = submit(&served, None).await;
    assert_problem(&answer, 429, "quota-exceeded");
    assert!(answer.json()["detail"].as_str().unwrap().contains("queued"), "{answer:?}");
    assert_eq!((answer.header("ratelimit"), answer.header("retry-after")), ("", "5"));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_tenant_may_have_quotas_of_its_own() {
    let settings = [("quotas.submits_per_minute", "1"), ("tenants.default.submits_per_minute", "2")];
    let served = Served::with(Work::Nobody, &settings).await;
    let quotas = [submit(&served, None).await, submit(&served, None).await, submit(&served, None).await];
    assert_eq!(quotas.map(|answer| answer.status), [202, 202, 429]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_large_input_beyond_the_quota_is_refused_before_it_is_sent() {
    for quota in ["quotas.submits_per_minute", "quotas.queued"] {
        let settings = [(quota, "1"), ("blobs.in_database", "64KiB"), ("jobs.max_input", "8MiB")];
        let served = Served::with(Work::Nobody, &settings).await;
        let large = vec![7_u8; 1 << 20];
        let key = [("idempotency-key", "a")];
        let first = served.client.send(Method::PUT, "/v1/kinds/echo/jobs", &key, large.clone()).await;
        assert_eq!(first.status, 202, "the look before it was read took nothing: {first:?}");
        for rest in [
            "content-length: 1048576\r\n\r\n".to_owned(),
            format!("transfer-encoding: chunked\r\n\r\n10001\r\n{}", "x".repeat(0x10001)),
        ] {
            let said =
                served.raw(format!("PUT /v1/kinds/echo/jobs HTTP/1.1\r\nhost: localhost\r\n{rest}").as_bytes()).await;
            assert!(said.starts_with("HTTP/1.1 429") && said.contains("quota-exceeded"), "{said}");
        }
        let again = served.client.send(Method::PUT, "/v1/kinds/echo/jobs", &key, large).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"), "{again:?}");
        assert_eq!(again.job_id(), first.job_id());
        assert!(served.stop().await);
    }
}
