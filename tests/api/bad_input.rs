//! Requests that are wrong in one way or another, and what each is told.

use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON, assert_problem, get, post_job, post_text};
use crate::harness::client::Answer;
use crate::harness::served::Served;

async fn post_raw(served: &Served, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
    served.client.send(Method::POST, path, headers, body).await
}

#[tokio::test]
async fn each_wrong_field_is_named_by_its_pointer() {
    let served = Served::idle().await;
    let long = "x".repeat(600);
    let many: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let cases: Vec<(Value, &str)> = vec![
        (json!({"priority": 10}), "/priority"),
        (json!({"priority": -1}), "/priority"),
        (json!({"priority": "5"}), "/priority"),
        (json!({"priority": 5.5}), "/priority"),
        (json!({"queue": "no such queue"}), "/queue"),
        (json!({"queue": "elsewhere"}), "/queue"),
        (json!({"queue": "a\u{0}b"}), "/queue"),
        (json!({"queue": 7}), "/queue"),
        (json!({"run_at": "tomorrow"}), "/run_at"),
        (json!({"run_at": 1_700_000_000}), "/run_at"),
        (json!({"delay": "30"}), "/delay"),
        (json!({"delay": 30}), "/delay"),
        (json!({"delay": "1s", "run_at": "2099-01-01T00:00:00Z"}), "/delay"),
        (json!({"deadline": "2026-13-01T00:00:00Z"}), "/deadline"),
        (json!({"deadline": "2098-01-01T00:00:00Z", "run_at": "2099-01-01T00:00:00Z"}), "/deadline"),
        (json!({"timeouts": {"run": "0s"}}), "/timeouts/run"),
        (json!({"timeouts": {"run": "365d"}}), "/timeouts/run"),
        (json!({"timeouts": {"start": "0s"}}), "/timeouts/start"),
        (json!({"timeouts": {"strat": "1s"}}), "/timeouts/strat"),
        (json!({"timeouts": "1s"}), "/timeouts"),
        (json!({"retention": {"result": "500ms"}}), "/retention/result"),
        (json!({"retention": {"result": "9999d"}}), "/retention/result"),
        (json!({"retention": {"input": "4000d"}}), "/retention/input"),
        (json!({"retention": {"reslut": "1d"}}), "/retention/reslut"),
        (json!({"max_attempts": 0}), "/max_attempts"),
        (json!({"max_attempts": 100_000}), "/max_attempts"),
        (json!({"webhook": "https://example.com"}), "/webhook"),
        (json!({"metadata": {"a": 1}}), "/metadata/a"),
        (json!({"metadata": {"a": "x\u{0}"}}), "/metadata/a"),
        (json!({"metadata": {"": "x"}}), "/metadata/"),
        (json!({"metadata": {"a/b": null}}), "/metadata/a~1b"),
        (json!({"metadata": {"a": long}}), "/metadata/a"),
        (json!({"metadata": ["a"]}), "/metadata"),
        (json!({"tags": "a"}), "/tags"),
        (json!({"tags": [1]}), "/tags"),
        (json!({"tags": ["a", ""]}), "/tags/1"),
        (json!({"tags": ["a", "a"]}), "/tags/1"),
        (json!({"tags": ["a\u{0}"]}), "/tags/0"),
        (json!({"tags": many}), "/tags"),
        (json!({"validate_only": "yes"}), "/validate_only"),
        (json!({"dealine": "2099-01-01T00:00:00Z"}), "/dealine"),
        (json!({"kind": null}), "/kind"),
        (json!({"kind": 7}), "/kind"),
    ];
    for (fields, pointer) in cases {
        let mut body = json!({"kind": "echo"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = post_job(&served.client, &body, &[]).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), [pointer], "{fields}");
    }
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"], json!([]), "nothing of it was kept");
    assert!(served.stop().await);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let served = Served::idle().await;
    let body = json!({
        "kind": "typed", "input": {"dish": 1, "n": "x"}, "priority": 99, "tags": [""],
        "deadline": "2001-01-01T00:00:00Z", "typo": 1,
    });
    let mut pointers = assert_problem(&post_job(&served.client, &body, &[]).await, 422, "input-invalid");
    pointers.sort();
    assert_eq!(pointers, ["/deadline", "/input/dish", "/input/n", "/priority", "/tags/0", "/typo"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let served = Served::idle().await;
    for broken in
        ["", "{", "{\"kind\": \"echo\"", "{\"kind\": \"echo\",}", "nonsense", "{} {}", "{\"kind\": \"\\u12\"}"]
    {
        assert_problem(&post_text(&served.client, broken, &[]).await, 400, "malformed-request");
    }
    for other in ["[]", "1", "null", "\"text\""] {
        assert_eq!(assert_problem(&post_text(&served.client, other, &[]).await, 422, "input-invalid"), [""]);
    }
    let twice = r#"{"kind": "echo", "kind": "sleep"}"#;
    assert_eq!(assert_problem(&post_text(&served.client, twice, &[]).await, 422, "input-invalid"), ["/kind"]);
    let bytes = [b"{\"kind\": \"echo\", \"input\": \"".as_slice(), &[0xff, 0xfe], b"\"}"].concat();
    assert_problem(&post_raw(&served, "/v1/jobs", &[JSON], bytes).await, 400, "malformed-request");
    assert!(served.stop().await);
}

#[tokio::test]
async fn deep_nesting_is_refused_and_harms_nobody() {
    let served = Served::idle().await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let body = |depth: usize| format!("{{\"kind\": \"echo\", \"input\": {}}}", nested(depth));
    assert_eq!(post_text(&served.client, &body(100), &[]).await.status, 202);
    for depth in [101, 30_000] {
        let answer = post_text(&served.client, &body(depth), &[]).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), ["/input"]);
    }
    let answer = post_raw(&served, "/v1/kinds/echo/jobs", &[JSON], nested(30_000)).await;
    assert_eq!(assert_problem(&answer, 422, "input-invalid"), [""]);
    let meta = format!("{{\"kind\": \"echo\", \"metadata\": {{\"a\": {}}}}}", nested(30_000));
    assert_eq!(assert_problem(&post_text(&served.client, &meta, &[]).await, 422, "input-invalid"), ["/metadata/a"]);
    assert!(served.client.is_ready().await);
    assert!(served.stop().await);
}

#[tokio::test]
async fn unknown_kinds_are_not_found() {
    let served = Served::idle().await;
    for kind in ["nope", "", "no such", "a\u{0}b", "ä", &"k".repeat(500)] {
        let answer = post_job(&served.client, &json!({"kind": kind}), &[]).await;
        // A name with NUL in it is not even a text.
        if kind.contains('\0') {
            assert_eq!(assert_problem(&answer, 422, "input-invalid"), ["/kind"]);
        } else {
            assert_eq!(assert_problem(&answer, 404, "kind-not-found"), ["/kind"]);
        }
    }
    for path in ["/v1/kinds/nope/jobs", "/v1/kinds/%00/jobs", "/v1/kinds/%ff/jobs", "/v1/kinds/a%2Fb/jobs"] {
        assert_problem(&post_raw(&served, path, &[], "x").await, 404, "kind-not-found");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn media_types_are_checked_before_the_body_is_read() {
    let served = Served::idle().await;
    let body = r#"{"kind": "echo"}"#;
    for headers in
        [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/x-www-form-urlencoded")]]
    {
        assert_problem(&post_raw(&served, "/v1/jobs", headers, body).await, 415, "unsupported-media-type");
    }
    let vendor = [("content-type", "application/vnd.x+json; charset=utf-8")];
    assert_eq!(post_raw(&served, "/v1/jobs", &vendor, body).await.status, 202);
    let zipped = [JSON, ("content-encoding", "gzip")];
    assert_problem(&post_raw(&served, "/v1/jobs", &zipped, body).await, 415, "unsupported-media-type");

    let jpeg = [("content-type", "image/jpeg")];
    assert_eq!(post_raw(&served, "/v1/kinds/pictures/jobs", &jpeg, "x").await.status, 202);
    for headers in [&[JSON][..], &[("content-type", "jpeg")], &[]] {
        let answer = post_raw(&served, "/v1/kinds/pictures/jobs", headers, "x").await;
        assert_problem(&answer, 415, "unsupported-media-type");
    }
    let typed = post_raw(&served, "/v1/kinds/typed/jobs", &[("content-type", "text/plain")], "{}").await;
    assert_problem(&typed, 415, "unsupported-media-type");
    let as_json = post_job(&served.client, &json!({"kind": "pictures", "input": 1}), &[]).await;
    assert_problem(&as_json, 415, "unsupported-media-type");
    assert!(served.stop().await);
}

#[tokio::test]
async fn inputs_that_do_not_meet_the_schema_are_refused() {
    let served = Served::idle().await;
    let answer = post_job(&served.client, &json!({"kind": "typed", "input": {"dish": 7}}), &[]).await;
    assert_eq!(assert_problem(&answer, 422, "input-invalid"), ["/input/dish"]);
    let path = "/v1/kinds/typed/jobs";
    let raw = post_raw(&served, path, &[JSON], r#"{"dish": 7}"#).await;
    assert_eq!(assert_problem(&raw, 422, "input-invalid"), ["/dish"]);
    let broken = post_raw(&served, path, &[JSON], r#"{"dish": "#).await;
    assert_eq!(assert_problem(&broken, 422, "input-invalid"), [""]);
    let empty = post_raw(&served, path, &[JSON], "").await;
    assert_eq!(assert_problem(&empty, 422, "input-invalid"), [""]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn large_bodies_are_refused_however_they_are_sent() {
    let served = Served::idle().await;
    let path = "/v1/kinds/echo/jobs";
    let limit = 64 * 1024;
    assert_eq!(post_raw(&served, path, &[], vec![7_u8; limit]).await.status, 202);
    assert_problem(&post_raw(&served, path, &[], vec![7_u8; limit + 1]).await, 413, "payload-too-large");
    let input = "x".repeat(limit);
    let answer = post_job(&served.client, &json!({"kind": "echo", "input": input}), &[]).await;
    assert_problem(&answer, 413, "payload-too-large");

    // Nobody announces how much there is of it.
    let chunk = format!("{:x}\r\n{}\r\n", 8192, "y".repeat(8192));
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    let said = served.raw(format!("{head}{}", chunk.repeat(9)).as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    assert!(said.contains("\"payload-too-large\""), "{said}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_deadline_that_has_passed_has_a_code_of_its_own() {
    let served = Served::idle().await;
    let past = "2001-01-01T00:00:00Z";
    let answer = post_job(&served.client, &json!({"kind": "echo", "deadline": past}), &[]).await;
    assert_eq!(assert_problem(&answer, 422, "deadline-in-past"), ["/deadline"]);
    let raw = post_raw(&served, &format!("/v1/kinds/echo/jobs?deadline={past}"), &[], "x").await;
    assert_eq!(assert_problem(&raw, 422, "deadline-in-past"), ["/deadline"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn query_parameters_are_read_as_strictly_as_fields() {
    let served = Served::idle().await;
    for (query, pointer) in [
        ("priority=10", "/priority"),
        ("priority=", "/priority"),
        ("priorty=1", "/priorty"),
        ("priority=1&priority=2", "/priority"),
        ("run_timeout=5", "/run_timeout"),
        ("run_timeout=0s", "/run_timeout"),
        ("delay=%00", "/delay"),
        ("tags=", "/tags/0"),
        ("tags=a%00", "/tags"),
        ("queue=elsewhere", "/queue"),
        ("result_retention=9999d", "/result_retention"),
        ("input_retention=4000d", "/input_retention"),
        ("wait=soon", "/wait"),
        ("webhook=x", "/webhook"),
    ] {
        let answer = post_raw(&served, &format!("/v1/kinds/echo/jobs?{query}"), &[], "x").await;
        let pointers = assert_problem(&answer, 422, "input-invalid");
        assert!(pointers.iter().all(|found| found.starts_with(pointer)), "{query}: {pointers:?}");
        assert!(!pointers.is_empty(), "{query}");
    }
    for query in ["priority=%", "tags=%ff", "a=%zz"] {
        let answer = post_raw(&served, &format!("/v1/kinds/echo/jobs?{query}"), &[], "x").await;
        assert_problem(&answer, 400, "malformed-request");
    }
    let answer = post_text(&served.client, r#"{"kind": "echo"}"#, &[]).await;
    assert_eq!(answer.status, 202);
    let answer = served.client.send(Method::POST, "/v1/jobs?priority=1", &[JSON], r#"{"kind": "echo"}"#).await;
    assert_eq!(assert_problem(&answer, 422, "input-invalid"), ["/priority"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn ids_that_are_no_uuid_are_malformed_whatever_is_asked() {
    let served = Served::idle().await;
    let ids =
        ["1", "0192f0c1-2345-7abc-8def-0123456789ag", "0192f0c123457abc8def0123456789ab", "%00", "%ff", "..%2f.."];
    for id in ids {
        for (method, rest) in [(Method::GET, ""), (Method::GET, "/result"), (Method::POST, "/cancel")] {
            let answer = served.client.send(method, &format!("/v1/jobs/{id}{rest}"), &[], "").await;
            assert_eq!(assert_problem(&answer, 400, "malformed-request"), ["/id"], "{id}{rest}");
        }
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn wrong_methods_and_paths_are_problems_too() {
    let served = Served::idle().await;
    for (method, path, allow) in [
        (Method::DELETE, "/v1/jobs", "GET, HEAD, POST"),
        (Method::PUT, "/v1/jobs", "GET, HEAD, POST"),
        (Method::GET, "/v1/kinds/echo/jobs", "POST, PUT"),
        (Method::POST, "/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab", "GET, HEAD, PUT, DELETE"),
        (Method::GET, "/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab/cancel", "POST"),
        (Method::PATCH, "/livez", "GET, HEAD"),
    ] {
        let answer = served.client.send(method, path, &[], "").await;
        assert_problem(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    for path in ["/nope", "/v1", "/v1/jobs/", "/v2/jobs", "/v1/jobs/a/b/c", "/%00", "//"] {
        let answer = get(&served.client, path, &[]).await;
        assert_problem(&answer, 404, "route-not-found");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_duration_that_is_too_long_is_told_how_long_it_may_be() {
    let served = Served::idle().await;
    for (body, pointer) in [
        (json!({"kind": "echo", "delay": "40000d"}), "/delay"),
        (json!({"kind": "echo", "timeouts": {"start": "99999999d"}}), "/timeouts/start"),
        (json!({"kind": "echo", "delay": "99999999999999999999999s"}), "/delay"),
    ] {
        let answer = post_job(&served.client, &body, &[]).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), [pointer]);
        assert_eq!(answer.json()["errors"][0]["detail"], "must be at most 36600d", "{body}");
    }
    let answer = post_job(&served.client, &json!({"kind": "echo", "delay": "5 days"}), &[]).await;
    assert!(answer.json()["detail"].as_str().unwrap().contains("must be a duration"), "{answer:?}");
    let id = served.client.submit("echo", &json!(1)).await;
    served.client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await;
    for wait in ["99999d", "99999999999999999999999s"] {
        let cut = get(&served.client, &format!("/v1/jobs/{id}?wait={wait}"), &[]).await;
        assert_eq!(cut.status, 200, "it is cut to the longest wait: {cut:?}");
    }
    assert!(served.stop().await);
}
