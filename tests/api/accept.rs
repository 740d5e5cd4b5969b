//! `Accept`, `Vary` and `Cache-Control`: what every answer says about itself.

use reqwest::Method;
use serde_json::json;

use super::{JSON, assert_problem, get, post_job};
use crate::harness::served::Served;

#[tokio::test]
async fn what_cannot_be_sent_as_asked_is_refused_before_anything_is_done() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    for accept in ["text/html", "application/json;q=0, */*;q=0", "image/*, text/csv;q=0.5", "application/vnd.api+json"]
    {
        let submit = post_job(&served.client, &json!({"kind": "echo"}), &[("accept", accept)]).await;
        assert_problem(&submit, 406, "not-acceptable");
        assert!(submit.json()["detail"].as_str().unwrap().contains("application/json"), "{}", submit.json()["detail"]);
        for path in ["/v1/jobs", "/livez", "/openapi.json", &format!("/v1/jobs/{id}")] {
            assert_problem(&get(&served.client, path, &[("accept", accept)]).await, 406, "not-acceptable");
        }
        assert_eq!(submit.json()["detail"], "this is answered as application/json", "each type is named once");
        let cancel = format!("/v1/jobs/{id}/cancel");
        let cancel = served.client.send(Method::POST, &cancel, &[JSON, ("accept", accept)], "{}").await;
        assert_problem(&cancel, 406, "not-acceptable");
    }
    let jobs = get(&served.client, "/v1/jobs", &[]).await.json()["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "nothing was submitted");
    assert_eq!(jobs[0]["status"], "queued", "nothing was canceled");
    let head = served.client.send(Method::HEAD, "/v1/jobs", &[("accept", "text/html")], "").await;
    assert_eq!(head.status, 406);
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_can_be_sent_as_asked_is_sent() {
    let served = Served::idle().await;
    for accept in
        ["*/*", "application/json", "application/*", "Application/JSON;q=0.1", "text/html, application/json;q=0.9", ""]
    {
        let submit = post_job(&served.client, &json!({"kind": "echo"}), &[("accept", accept)]).await;
        assert_eq!(submit.status, 202, "{accept}");
    }
    // A problem says what is wrong, in the one form it has, whatever was asked for.
    assert_problem(&get(&served.client, "/nowhere", &[("accept", "text/html")]).await, 404, "route-not-found");
    let trace = served.client.send(Method::TRACE, "/livez", &[("accept", "text/html")], "").await;
    assert_problem(&trace, 405, "method-not-allowed");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_result_has_the_type_that_it_has_whatever_is_accepted() {
    let served = Served::working().await;
    let path = "/v1/kinds/echo/jobs?wait=15s";
    let job = served.client.send(Method::POST, path, &[("content-type", "text/plain")], "soup").await;
    let result = format!("/v1/jobs/{}/result", job.job_id());
    let result = get(&served.client, &result, &[("accept", "application/json")]).await;
    assert_eq!((result.status, result.header("content-type")), (200, "text/plain"));
    assert!(served.stop().await);
}

#[tokio::test]
async fn every_answer_says_whether_it_may_be_kept_and_what_it_depends_on() {
    let served = Served::working().await;
    let id = served.client.submit("echo", &json!(1)).await;
    served.client.done(&id).await;
    for (path, kept) in [
        ("/", "no-store"),
        ("/livez", "no-store"),
        ("/nowhere", "no-store"),
        ("/openapi.json", "no-cache"),
        ("/docs", "no-cache"),
        ("/v1/jobs", "private, no-cache"),
        (&format!("/v1/jobs/{id}"), "private, no-cache"),
        (&format!("/v1/jobs/{id}/result"), "private, no-cache"),
        (&format!("/v1/jobs/{id}/logs"), "private, no-cache"),
    ] {
        let answer = get(&served.client, path, &[]).await;
        assert_eq!(answer.header("cache-control"), kept, "{path}");
        assert!(answer.header("vary").contains("Authorization"), "{path}: {}", answer.header("vary"));
        assert!(!answer.header("vary").contains("Origin"), "no origin is allowed: {path}");
    }
    assert!(served.stop().await);
}
