//! `Content-Digest`: wherever a body is read, it is the one that was sent.

use raincheck_shared::lifecycle::IdSource;
use reqwest::Method;
use serde_json::json;

use super::leases::{REMOTE, lease};
use super::{JSON, assert_problem, get};
use crate::harness::served::{Served, Work};

/// That of `{}`.
const OF_AN_OBJECT: &str = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:";
/// That of nothing.
const OF_NOTHING: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

#[tokio::test]
async fn a_body_that_is_not_what_its_digest_says_is_refused_wherever_one_is_read() {
    let served = Served::with(Work::Nobody, REMOTE).await;
    let client = &served.client;
    client.submit("hauled", &json!(1)).await;
    let held = lease(client, "hauled", "5m").await;
    let at_lease = |verb: &str| format!("/v1/leases/{}/{verb}", held["token"].as_str().unwrap());
    let waiting = client.submit("echo", &json!(1)).await;
    let of_job = |verb: &str| format!("/v1/jobs/{waiting}/{verb}");
    let own = IdSource.job();
    for (method, path, body) in [
        (Method::POST, "/v1/jobs".to_owned(), r#"{"kind": "echo"}"#),
        (Method::PUT, format!("/v1/jobs/{own}"), r#"{"kind": "echo"}"#),
        (Method::POST, "/v1/kinds/echo/jobs".to_owned(), "1"),
        (Method::POST, "/v1/batches".to_owned(), r#"{"jobs": [{"kind": "echo"}]}"#),
        (Method::PUT, "/v1/schedules/nightly".to_owned(), r#"{"cron": "0 7 * * *", "kind": "echo"}"#),
        (Method::POST, "/v1/leases".to_owned(), r#"{"kinds": ["hauled"]}"#),
        (Method::POST, at_lease("heartbeat"), "{}"),
        (Method::POST, at_lease("progress"), r#"{"percent": 1}"#),
        (Method::POST, at_lease("logs"), r#"{"lines": ["one"]}"#),
        (Method::POST, at_lease("fail"), r#"{"message": "no"}"#),
        (Method::POST, at_lease("release"), "{}"),
        (Method::POST, at_lease("complete"), "done"),
        (Method::POST, of_job("cancel"), r#"{"reason": "no"}"#),
        (Method::POST, of_job("retry"), r#"{"priority": 1}"#),
        (Method::POST, of_job("tickets"), "{}"),
        (Method::POST, "/v1/jobs/redrive".to_owned(), r#"{"limit": 1}"#),
        (Method::POST, "/v1/queues/default/pause".to_owned(), "{}"),
        (Method::POST, "/v1/queues/default/resume".to_owned(), "{}"),
    ] {
        let said = if body == "{}" { OF_NOTHING } else { OF_AN_OBJECT };
        let answer = client.send(method.clone(), &path, &[JSON, ("content-digest", said)], body).await;
        assert_eq!(answer.status, 400, "{method} {path}: {answer:?}");
        assert_problem(&answer, 400, "digest-mismatch");
        let unread = [JSON, ("content-digest", "sha-256=:!:")];
        let answer = client.send(method.clone(), &path, &unread, body).await;
        assert_eq!(answer.status, 400, "{method} {path}: {answer:?}");
        assert_problem(&answer, 400, "malformed-request");
    }
    assert_eq!(get(client, "/v1/jobs", &[]).await.json()["jobs"].as_array().unwrap().len(), 2, "nothing came of them");
    assert_eq!(client.job(&waiting).await["status"], "queued");
    assert_eq!(get(client, "/v1/queues/default", &[]).await.json()["paused"], false);
    let good = [JSON, ("content-digest", OF_AN_OBJECT)];
    assert_eq!(client.send(Method::POST, &at_lease("heartbeat"), &good, "{}").await.status, 200);
    assert_eq!(client.send(Method::POST, &at_lease("release"), &good, "{}").await.status, 200);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_large_result_that_is_not_what_its_digest_says_is_refused_and_may_be_sent_again() {
    let settings = [REMOTE, &[("blobs.in_database", "64KiB"), ("jobs.max_output", "8MiB")]].concat();
    let served = Served::with(Work::Nobody, &settings).await;
    let client = &served.client;
    let job = client.submit("hauled", &json!(1)).await;
    let held = lease(client, "hauled", "5m").await;
    let path = format!("/v1/leases/{}/complete", held["token"].as_str().unwrap());
    let large = vec![7_u8; 1 << 20];
    let sent = client.send(Method::POST, &path, &[("content-digest", OF_AN_OBJECT)], large.clone()).await;
    assert_problem(&sent, 400, "digest-mismatch");
    assert_eq!(client.job(&job).await["status"], "in_progress");
    assert_eq!(client.send(Method::POST, &path, &[], large.clone()).await.status, 200);
    assert_eq!(get(client, &format!("/v1/jobs/{job}/result"), &[]).await.body, large);
    let again = client.send(Method::POST, &path, &[("content-digest", OF_AN_OBJECT)], large).await;
    assert_problem(&again, 400, "digest-mismatch");
    assert!(served.stop().await);
}
