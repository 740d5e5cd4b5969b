//! The clocks of a job: how long it may wait, how long it may run, how long what is left of it is kept.

use std::time::Duration;

use raincheck_shared::lifecycle::{Clock as _, SystemClock};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{assert_problem, get, post_job};
use crate::harness::served::{Served, Work};

#[tokio::test]
async fn a_job_that_nobody_starts_in_time_expires_by_its_start_timeout_or_by_its_deadline() {
    for served in Served::on_each_store(Work::Nobody).await {
        let soon = (SystemClock.now() + Duration::from_secs(1)).format(&Rfc3339).unwrap();
        for limit in [json!({"timeouts": {"start": "300ms"}}), json!({"deadline": soon})] {
            let mut body = limit.clone();
            body["kind"] = json!("echo");
            let id = post_job(&served.client, &body, &[]).await.job_id();
            let ended = served.client.done(&id).await;
            assert_eq!(
                (&ended["status"], &ended["version"], &ended["attempt"]),
                (&json!("expired"), &json!(2), &json!(0))
            );
            assert_eq!((&ended["started_at"], &ended["attempts"]), (&json!(null), &json!([])), "{limit}");
            assert_problem(&get(&served.client, &format!("/v1/jobs/{id}/result"), &[]).await, 409, "job-failed");
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn an_attempt_that_runs_too_long_ends_and_the_next_one_has_its_whole_time_again() {
    let served = Served::working().await;
    let body = json!({
        "kind": "sleep", "input": {"seconds": 60}, "timeouts": {"run": "300ms"}, "max_attempts": 1,
    });
    let once = post_job(&served.client, &body, &[]).await.job_id();
    let ended = served.client.done(&once).await;
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!("run-timeout")), "{ended}");
    let mut twice = body.clone();
    twice["max_attempts"] = json!(2);
    let twice = post_job(&served.client, &twice, &[]).await.job_id();
    let ended = served.client.done(&twice).await;
    let attempts = ended["attempts"].as_array().unwrap();
    assert_eq!((&ended["status"], attempts.len()), (&json!("failed"), 2), "{ended}");
    for attempt in attempts {
        let at = |name: &str| OffsetDateTime::parse(attempt[name].as_str().unwrap(), &Rfc3339).unwrap();
        assert!(at("ended_at") - at("started_at") >= Duration::from_millis(300), "{attempt}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_result_is_kept_as_long_as_was_asked_for_and_a_key_for_a_day_at_least() {
    for served in Served::on_each_store(Work::Worker).await {
        for (kept, key, expected) in [
            ("1h", None, Duration::from_hours(1)),
            ("1h", Some("short"), Duration::from_hours(24)),
            ("3d", Some("long"), Duration::from_hours(72)),
        ] {
            let body = json!({"kind": "echo", "retention": {"result": kept}});
            let headers: Vec<_> =
                key.iter().map(|key| ("idempotency-key", *key)).chain([("prefer", "wait=15")]).collect();
            let job = post_job(&served.client, &body, &headers).await.json();
            let at = |name: &str| OffsetDateTime::parse(job[name].as_str().unwrap(), &Rfc3339).unwrap();
            assert_eq!(at("expires_at") - at("finished_at"), expected, "{kept} {key:?}");
        }
        assert!(served.stop().await);
    }
}
