//! JSON by the grammar that strict readers refuse: it is kept as it is, and no document that holds other things breaks by it.

use raincheck_shared::domain::{CatchUp, Payload, ScheduleDefinition, ScheduleOptions, TenantName};
use raincheck_shared::lifecycle::{Clock, SystemClock};
use raincheck_shared::store::{NewSchedule, ScheduleOwner};
use reqwest::Method;
use serde_json::{Value, json};

use super::leases::{REMOTE, lease};
use super::{JSON, assert_problem, get, post_text};
use crate::harness::served::{Served, Work};

/// A half of a pair of surrogates, in a value, a name and deep inside; numbers that no float holds.
const ODD: [&str; 7] = [
    r#""\ud83d""#,
    r#""\udc00\ud83d""#,
    r#"{"\uDBFF": 1}"#,
    r#"[[{"a": ["\ud800x"]}]]"#,
    "1e999",
    "[-1E+400]",
    r#"{"a": 123e99999999999999999999}"#,
];

/// What looks like those and is none.
const GOOD: [&str; 6] = [
    r#""\ud83d\ude00""#,
    r#""\\ud83d""#,
    r#""1e999""#,
    "1e-999",
    "1e308",
    r#"{"a\u0000": [12345678901234567890123456789012345678901234567890]}"#,
];

#[tokio::test]
async fn a_result_that_strict_readers_refuse_is_linked_and_not_shown() {
    let served = Served::working().await;
    let long = format!("[{}]", "9".repeat(400));
    let deep = format!("{}null{}", r#"{"a":["#.repeat(30), "]}".repeat(30));
    for input in ODD.into_iter().chain([long.as_str(), deep.as_str()]) {
        let sent = format!(r#"{{"kind": "echo", "input": {input}}}"#);
        let answer = post_text(&served.client, &sent, &[("prefer", "wait=15")]).await;
        assert_eq!(answer.status, 200, "{input}: {answer:?}");
        let result = &answer.json()["result"];
        assert!(result.get("value").is_none(), "{input}: {result}");
        let read = get(&served.client, result["url"].as_str().unwrap(), &[]).await;
        assert_eq!((read.status, &read.body[..]), (200, input.as_bytes()), "byte for byte");
    }
    for input in GOOD {
        let sent = format!(r#"{{"kind": "echo", "input": {input}}}"#);
        let answer = post_text(&served.client, &sent, &[("prefer", "wait=15")]).await;
        assert_eq!(answer.json()["result"]["value"], serde_json::from_str::<Value>(input).unwrap(), "{input}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_leased_input_that_strict_readers_refuse_is_linked_and_not_shown() {
    let served = Served::with(Work::Nobody, REMOTE).await;
    for input in ODD {
        let sent = format!(r#"{{"kind": "hauled", "input": {input}}}"#);
        assert_eq!(post_text(&served.client, &sent, &[]).await.status, 202);
        let held = lease(&served.client, "hauled", "30s").await;
        assert!(held["input"].get("value").is_none(), "{input}: {held}");
        let read = get(&served.client, held["input"]["url"].as_str().unwrap(), &[]).await;
        assert_eq!((read.status, &read.body[..]), (200, input.as_bytes()), "byte for byte");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_schedule_takes_no_input_that_strict_readers_refuse_and_one_that_is_there_breaks_no_answer() {
    let served = Served::idle().await;
    let client = &served.client;
    for input in ODD {
        let body = format!(r#"{{"cron": "0 7 * * *", "kind": "echo", "input": {input}}}"#);
        let answer = client.send(Method::PUT, "/v1/schedules/odd", &[JSON], body).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), ["/input"], "{input}");
    }
    for (n, input) in GOOD.into_iter().enumerate() {
        let body = format!(r#"{{"cron": "0 7 * * *", "kind": "echo", "input": {input}}}"#);
        let answer = client.send(Method::PUT, &format!("/v1/schedules/good-{n}"), &[JSON], body).await;
        assert_eq!(answer.json()["input"], serde_json::from_str::<Value>(input).unwrap(), "{input}");
    }
    let definition = ScheduleDefinition {
        cron: "0 7 * * *".parse().unwrap(),
        catch_up: CatchUp::One,
        kind: "echo".parse().unwrap(),
        input: Payload::json(ODD[0].as_bytes()),
        options: ScheduleOptions::default(),
    };
    let (tenant, by, now) = (TenantName::default(), ScheduleOwner::Client { most: 100 }, SystemClock.now());
    let old = NewSchedule { tenant, name: "old".parse().unwrap(), definition, by, now, next_at: None };
    served.store.schedules.put_schedule(&old).await.unwrap();
    let shown = get(client, "/v1/schedules/old", &[]).await.json();
    assert_eq!((&shown["input"], &shown["content_type"]), (&Value::Null, &json!("application/json")));
    let listed = get(client, "/v1/schedules", &[]).await.json();
    assert_eq!(listed["schedules"].as_array().unwrap().len(), GOOD.len() + 1);
    let triggered = client.send(Method::POST, "/v1/schedules/old/trigger", &[], "").await;
    assert_eq!(triggered.status, 202, "its jobs are given what they always were: {triggered:?}");
    assert!(served.stop().await);
}
