//! Commands that have nothing to be told: a body that says something to them is refused, and not ignored.

use reqwest::Method;
use serde_json::json;

use super::leases::{REMOTE, lease};
use super::webhooks::settings;
use super::{JSON, assert_problem, get, post_job};
use crate::harness::receiver::Receiver;
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

#[tokio::test]
async fn a_command_that_has_no_fields_refuses_those_it_is_given_and_does_nothing() {
    let receiver = Receiver::answering(200).await;
    let url = receiver.url();
    let served = Served::with(Work::Worker, &settings(REMOTE)).await;
    let client = &served.client;
    let nightly = r#"{"cron": "0 7 * * *", "kind": "apart"}"#;
    client.send(Method::PUT, "/v1/schedules/nightly", &[JSON], nightly).await;
    let job =
        post_job(client, &json!({"kind": "echo", "webhook": {"url": url}}), &[("prefer", "wait=15")]).await.job_id();
    let deliveries = format!("/v1/jobs/{job}/deliveries");
    until("it to be told", std::time::Duration::from_secs(15), async || {
        get(client, &deliveries, &[]).await.json()["deliveries"][0]["state"] == "delivered"
    })
    .await;
    let told = get(client, &deliveries, &[]).await.json()["deliveries"][0]["id"].as_str().unwrap().to_owned();
    client.submit("hauled", &json!(1)).await;
    let held = lease(client, "hauled", "5m").await;

    let paths = [
        "/v1/schedules/nightly/trigger".to_owned(),
        "/v1/schedules/nightly/pause".to_owned(),
        "/v1/schedules/nightly/resume".to_owned(),
        "/v1/queues/apart/pause".to_owned(),
        "/v1/queues/apart/resume".to_owned(),
        format!("/v1/deliveries/{told}/redeliver"),
        format!("/v1/jobs/{job}/tickets"),
        format!("/v1/leases/{}/heartbeat", held["token"].as_str().unwrap()),
    ];
    for path in &paths {
        let named = client.send(Method::POST, path, &[JSON], r#"{"input": {"a": 1}, "reason": ""}"#).await;
        assert_eq!(named.status, 422, "{path}: {named:?}");
        let pointers = assert_problem(&named, 422, "input-invalid");
        assert!(pointers.len() == 2 && pointers.contains(&"/input".to_owned()), "{path}: {pointers:?}");
        for other in ["[]", "1", "null"] {
            let answer = client.send(Method::POST, path, &[JSON], other).await;
            assert_eq!(answer.status, 422, "{path} {other}: {answer:?}");
        }
        assert_problem(&client.send(Method::POST, path, &[JSON], "{").await, 400, "malformed-request");
    }
    let schedule = get(client, "/v1/schedules/nightly", &[]).await.json();
    assert_eq!(
        (&schedule["paused"], get(client, "/v1/queues/apart", &[]).await.json()["paused"].as_bool()),
        (&json!(false), Some(false))
    );
    assert_eq!(get(client, "/v1/jobs?kind=apart", &[]).await.json()["jobs"], json!([]));
    assert_eq!(receiver.heard().len(), 1);
    for path in &paths {
        for nothing in ["", "{}", " {} "] {
            let answer = client.send(Method::POST, path, &[JSON], nothing).await;
            assert!((200..300).contains(&answer.status), "{path} {nothing:?}: {answer:?}");
        }
    }
    assert!(served.stop().await);
}
