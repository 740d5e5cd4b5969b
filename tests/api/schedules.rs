//! Schedules over HTTP, and that their ticks come to jobs.

use std::time::Duration;

use raincheck_shared::domain::{CatchUp, Payload, ScheduleDefinition, ScheduleOptions, TenantName, Timestamp};
use raincheck_shared::lifecycle::{Clock, SystemClock};
use raincheck_shared::store::{NewSchedule, ScheduleOwner};
use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON, assert_problem, get, post_job};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

pub(super) const SOON: Duration = Duration::from_secs(20);
/// The loop looks often, so that what a test plants in the store is found.
pub(super) const QUICK: (&str, &str) = ("upkeep.schedules", "100ms");

async fn put(client: &Client, name: &str, body: &Value) -> Answer {
    client.send(Method::PUT, &format!("/v1/schedules/{name}"), &[JSON], body.to_string()).await
}

async fn act(client: &Client, name: &str, verb: &str) -> Answer {
    client.send(Method::POST, &format!("/v1/schedules/{name}/{verb}"), &[], "").await
}

pub(super) async fn schedule(client: &Client, name: &str) -> Value {
    get(client, &format!("/v1/schedules/{name}"), &[]).await.json()
}

pub(super) async fn jobs_of(client: &Client, name: &str) -> Vec<Value> {
    let page = get(client, &format!("/v1/jobs?metadata.schedule={name}&limit=100"), &[]).await.json();
    page["jobs"].as_array().unwrap().clone()
}

/// A minute's schedule whose first tick that was not run was so many minutes ago. Answers that tick.
async fn plant(served: &Served, name: &str, catch_up: CatchUp, minutes: i64) -> Timestamp {
    let minute = SystemClock.now().unix_timestamp().div_euclid(60) * 60;
    let first = Timestamp::from_unix_timestamp(minute - minutes * 60).unwrap();
    plant_at(served, name, catch_up, first).await;
    first
}

/// A minute's schedule whose first tick that was not run is that one.
pub(super) async fn plant_at(served: &Served, name: &str, catch_up: CatchUp, first: Timestamp) {
    let definition = ScheduleDefinition {
        cron: "* * * * *".parse().unwrap(),
        catch_up,
        kind: "echo".parse().unwrap(),
        input: Payload::json(&b"[1]"[..]),
        options: ScheduleOptions { concurrency_key: Some("minute".to_owned()), ..ScheduleOptions::default() },
    };
    let by = ScheduleOwner::Client { most: 100 };
    let (tenant, name) = (TenantName::default(), name.parse().unwrap());
    let new = NewSchedule { tenant, name, definition, by, now: SystemClock.now(), next_at: Some(first) };
    served.store.schedules.put_schedule(&new).await.unwrap();
}

fn told(at: Timestamp) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[tokio::test]
async fn a_schedule_is_made_shown_replaced_listed_and_deleted() {
    for served in Served::on_each_store(Work::Nobody).await {
        let client = &served.client;
        let body = json!({
            "cron": " europe/zurich 0  7 * * mon-FRI", "kind": "echo", "input": {"b" : 1.0}, "queue": "apart", "priority": 7,
            "timeouts": {"start": "1h", "run": "5m"}, "retention": {"input": "1d", "result": "7d"}, "max_attempts": 2,
            "metadata": {"team": "sales"}, "tags": ["daily"], "catch_up": "all", "catch_up_most": 3,
            "concurrency_key": "sales",
        });
        let made = put(client, "report", &body).await;
        assert_eq!((made.status, made.header("location")), (201, "/v1/schedules/report"));
        let made = made.json();
        assert_eq!(made["cron"], "Europe/Zurich 0 7 * * mon-FRI");
        assert_eq!(
            (&made["time_zone"], &made["version"], &made["source"]),
            (&json!("Europe/Zurich"), &json!(1), &json!("api"))
        );
        assert_eq!((&made["input"], &made["content_type"]), (&json!({"b": 1.0}), &json!("application/json")));
        assert_eq!((&made["timeouts"], &made["retention"]), (&body["timeouts"], &body["retention"]));
        assert_eq!((&made["catch_up"], &made["catch_up_most"]), (&json!("all"), &json!(3)));
        assert_eq!((&made["paused"], &made["last_at"], &made["missed"]), (&json!(false), &Value::Null, &json!(0)));
        assert_eq!(made["next"].as_array().unwrap().len(), 5);
        assert_eq!(made["next"][0]["at"], made["next_at"]);
        for run in made["next"].as_array().unwrap() {
            let local = run["local"].as_str().unwrap();
            assert!(local.contains("T07:00:00+0"), "{local}");
        }
        assert_eq!(schedule(client, "report").await, made);
        assert_eq!(made["concurrency_key"], "sales");
        assert_eq!(act(client, "report", "trigger").await.json()["concurrency_key"], "sales");
        let again = put(client, "report", &body).await;
        assert_eq!((again.status, again.json()), (200, made.clone()), "the same");
        let text = json!({"cron": "0 7 * * *", "kind": "echo", "input": "a ü\n", "content_type": "text/plain"});
        let other = put(client, "report", &text).await;
        assert_eq!((other.status, &other.json()["version"], &other.json()["input"]), (200, &json!(2), &json!("a ü\n")));
        assert_eq!(get(client, "/v1/schedules/report?runs=0", &[]).await.json()["next"], json!([]));

        for name in ["a", "b", "c"] {
            assert_eq!(put(client, name, &text).await.status, 201);
        }
        let page = get(client, "/v1/schedules?limit=3", &[]).await.json();
        let names: Vec<&str> =
            page["schedules"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!((names, &page["next_cursor"]), (vec!["a", "b", "c"], &json!("c")));
        let rest = get(client, page["links"]["next"].as_str().unwrap(), &[]).await.json();
        assert_eq!((&rest["schedules"][0]["name"], &rest["next_cursor"]), (&json!("report"), &Value::Null));
        assert_problem(&get(client, "/v1/schedules?cursor=%20", &[]).await, 400, "invalid-cursor");

        assert_eq!(client.send(Method::DELETE, "/v1/schedules/report", &[], "").await.status, 204);
        for path in ["/v1/schedules/report", "/v1/schedules/-x"] {
            assert_problem(&get(client, path, &[]).await, 404, "schedule-not-found");
            assert_problem(&client.send(Method::DELETE, path, &[], "").await, 404, "schedule-not-found");
        }
        for verb in ["pause", "resume", "trigger"] {
            assert_problem(&act(client, "report", verb).await, 404, "schedule-not-found");
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn everything_wrong_with_a_schedule_is_told_by_its_field_and_nothing_is_kept() {
    let served = Served::with(Work::Nobody, &[("jobs.max_schedules", "1"), ("jobs.max_metadata", "2")]).await;
    let client = &served.client;
    let wrong = async |body: Value| {
        let answer = put(client, "x", &body).await;
        let details = answer.json()["errors"].to_string();
        (assert_problem(&answer, 422, "input-invalid"), details)
    };
    let (pointers, details) = wrong(json!({
        "cron": "0 25 * * *", "input": {}, "catch_up": "some", "delay": "1h", "timeouts": {"rnu": "1m"}, "run_at": null,
    }))
    .await;
    assert_eq!(pointers, ["/cron", "/kind", "/catch_up", "/timeouts/rnu", "/run_at", "/delay"]);
    assert!(details.contains("the hour \\\"25\\\": each part must be `*`, 0 to 23"), "{details}");
    let (pointers, details) = wrong(json!({"cron": "Mars/Base 0 7 * * *", "kind": "-", "catch_up_most": 5})).await;
    assert_eq!(pointers, ["/cron", "/kind", "/catch_up_most"]);
    assert!(details.contains("there is no time zone \\\"Mars/Base\\\""), "{details}");
    let (pointers, _) = wrong(json!({
        "cron": "0 7 * * *", "kind": "typed", "input": {"dish": 1}, "queue": "nowhere", "metadata": {"tick": "x"},
        "timeouts": {"run": "999d"}, "concurrency_key": "",
    }))
    .await;
    assert_eq!(pointers, ["/metadata/tick", "/input/dish", "/concurrency_key", "/queue", "/timeouts/run"]);
    let (pointers, _) =
        wrong(json!({"cron": "0 7 * * *", "kind": "echo", "input": 1, "content_type": "text/plain"})).await;
    assert_eq!(pointers, ["/input"]);
    let (pointers, _) = wrong(json!({"cron": "0 7 * * *", "kind": "echo", "content_type": "text"})).await;
    assert_eq!(pointers, ["/content_type"]);
    let good = json!({"cron": "0 7 * * *", "kind": "echo"});
    assert_problem(&put(client, "x", &json!({"cron": "0 7 * * *", "kind": "nope"})).await, 404, "kind-not-found");
    assert_eq!(assert_problem(&put(client, ".x", &good).await, 422, "input-invalid"), ["/schedule"]);
    let hook = json!({"cron": "0 7 * * *", "kind": "echo", "webhook": {"url": "http://127.0.0.1/"}});
    assert_problem(&put(client, "x", &hook).await, 422, "webhook-url-rejected");
    let large = json!({"cron": "0 7 * * *", "kind": "echo", "input": "x".repeat(65 * 1024)});
    assert_problem(&put(client, "x", &large).await, 413, "payload-too-large");
    assert_problem(
        &client.send(Method::PUT, "/v1/schedules/x", &[], good.to_string()).await,
        415,
        "unsupported-media-type",
    );
    assert_problem(&get(client, "/v1/schedules/x?runs=101", &[]).await, 422, "input-invalid");
    assert_problem(&get(client, "/v1/schedules/x", &[]).await, 404, "schedule-not-found");

    let mut preview = good.clone();
    preview["validate_only"] = json!(true);
    preview["cron"] = json!("America/New_York 30 2 8 3 *");
    let told = client.send(Method::PUT, "/v1/schedules/x?runs=20", &[JSON], preview.to_string()).await;
    assert_eq!((told.status, &told.json()["valid"]), (200, &json!(true)));
    let runs = told.json()["next"].as_array().unwrap().clone();
    // The clocks of New York change on the second Sunday of March, which is the 8th in 2026, 2037 and 2043.
    let local: Vec<&str> = runs.iter().map(|run| &run["local"].as_str().unwrap()[5..]).collect();
    assert!(local.contains(&"03-08T03:00:00-04:00") && local.contains(&"03-08T02:30:00-05:00"), "{local:?}");
    assert_problem(&get(client, "/v1/schedules/x", &[]).await, 404, "schedule-not-found");

    assert_eq!(put(client, "x", &good).await.status, 201);
    assert_problem(&put(client, "y", &good).await, 429, "quota-exceeded");
    assert_eq!(put(client, "x", &good).await.status, 200);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_tick_comes_to_one_job_with_its_name_and_its_time() {
    let on_postgres = Served::on_postgres(Work::Worker, &[QUICK]).await;
    for served in [Served::with(Work::Worker, &[QUICK]).await, on_postgres] {
        let client = &served.client;
        let first = plant(&served, "minutely", CatchUp::One, 0).await;
        until("the tick to be run", SOON, async || schedule(client, "minutely").await["last_at"] != Value::Null).await;
        let is = schedule(client, "minutely").await;
        assert!(is["last_at"].as_str().unwrap() >= told(first).as_str() && is["problem"].is_null(), "{is}");
        let job = client.done(is["last_job"].as_str().unwrap()).await;
        assert_eq!((&job["status"], &job["result"]["value"]), (&json!("succeeded"), &json!([1])), "{job}");
        assert_eq!(job["metadata"], json!({"schedule": "minutely", "tick": is["last_at"]}));
        assert_eq!((&job["idempotency_key"], &job["concurrency_key"]), (&Value::Null, &json!("minute")));
        let jobs = jobs_of(client, "minutely").await;
        let ticks: std::collections::BTreeSet<String> =
            jobs.iter().map(|job| job["metadata"]["tick"].to_string()).collect();
        assert_eq!(ticks.len(), jobs.len(), "one for each tick: {jobs:?}");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn ticks_that_were_missed_are_caught_up_with_as_the_policy_says() {
    let served = Served::with(Work::Nobody, &[QUICK]).await;
    let client = &served.client;
    for (name, policy, jobs, missed) in [
        ("skip", CatchUp::Skip, 1, 5),
        ("one", CatchUp::One, 1, 5),
        ("all", CatchUp::All { most: 100 }, 6, 0),
        ("some", CatchUp::All { most: 4 }, 4, 2),
    ] {
        let first = plant(&served, name, policy, 5).await;
        until("it to be caught up with", SOON, async || schedule(client, name).await["last_at"] != Value::Null).await;
        let is = schedule(client, name).await;
        let made = jobs_of(client, name).await;
        // The minute may turn meanwhile; then there is one tick more.
        let all = made.len() as u64 + is["missed"].as_u64().unwrap();
        assert!((6..=7).contains(&all) && (jobs..=jobs + 1).contains(&made.len()), "{name}: {} and {is}", made.len());
        assert!((missed..=missed + 1).contains(&is["missed"].as_u64().unwrap()), "{is}");
        let mut ticks: Vec<&str> = made.iter().map(|job| job["metadata"]["tick"].as_str().unwrap()).collect();
        ticks.reverse();
        assert!(ticks.is_sorted() && ticks[0] >= told(first).as_str(), "in their order: {ticks:?}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_queue_that_is_full_delays_a_tick_and_does_not_drop_it() {
    let settings = [QUICK, ("jobs.max_queued", "1"), ("upkeep.lost_dispatches", "100ms")];
    let served = Served::with(Work::Worker, &settings).await;
    let client = &served.client;
    client.send(Method::POST, "/v1/queues/default/pause", &[], "").await;
    until("the worker to have heard", SOON, async || {
        // What it takes before is done; the first that is not within a second shows that it has.
        post_job(client, &json!({"kind": "echo"}), &[("prefer", "wait=1")]).await.status == 202
    })
    .await;
    assert_eq!(client.try_submit("echo", &json!(2)).await.unwrap().status, 503, "the queue is full");
    let first = plant(&served, "late", CatchUp::One, 0).await;
    until("the problem to be told", SOON, async || schedule(client, "late").await["problem"].is_string()).await;
    let is = schedule(client, "late").await;
    assert!(is["problem"].as_str().unwrap().contains("queue default holds 1 jobs already"), "{is}");
    assert_eq!((&is["next_at"], &is["last_at"]), (&json!(told(first)), &Value::Null), "it is still due");
    client.send(Method::POST, "/v1/queues/default/resume", &[], "").await;
    until("it to be run at last", SOON, async || schedule(client, "late").await["last_at"] != Value::Null).await;
    let is = schedule(client, "late").await;
    assert_eq!(is["problem"], Value::Null, "{is}");
    // However many minutes have passed, each is a job or was missed in favour of a later one.
    assert!(!jobs_of(client, "late").await.is_empty(), "{is}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_paused_schedule_makes_no_job_but_when_asked_and_a_resumed_one_starts_with_the_next_tick() {
    let served = Served::with(Work::Nobody, &[QUICK]).await;
    let client = &served.client;
    let body = json!({"cron": "Asia/Kolkata 0 7 * * *", "kind": "echo", "metadata": {"a": "b"}, "tags": ["t"]});
    put(client, "daily", &body).await;
    let paused = act(client, "daily", "pause").await;
    assert_eq!((paused.status, &paused.json()["paused"], &paused.json()["next_at"]), (200, &json!(true), &Value::Null));
    assert_eq!(act(client, "daily", "pause").await.json(), paused.json(), "it stays so since when it is");
    assert_eq!(put(client, "daily", &body).await.json()["paused"], true);
    let key = ("idempotency-key", "once");
    let trigger = async || client.send(Method::POST, "/v1/schedules/daily/trigger", &[key], "").await;
    let (first, again) = (trigger().await, trigger().await);
    assert_eq!((first.status, again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(first.job_id(), again.job_id());
    assert_eq!(first.json()["metadata"], json!({"a": "b", "schedule": "daily"}), "no tick");
    assert_eq!(jobs_of(client, "daily").await.len(), 1);
    let resumed = act(client, "daily", "resume").await.json();
    assert_eq!(resumed["paused"], false);
    assert!(resumed["next"][0]["local"].as_str().unwrap().ends_with("T07:00:00+05:30"), "{resumed}");
    assert_eq!((&resumed["missed"], &resumed["last_at"]), (&json!(0), &Value::Null), "a job beside the ticks is none");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_schedule_of_the_configuration_is_there_can_be_paused_and_is_changed_nowhere_else() {
    let settings = [
        QUICK,
        ("schedules.nightly.cron", "Europe/Zurich 0 3 * * *"),
        ("schedules.nightly.kind", "typed"),
        ("schedules.nightly.input_json", r#"{"dish": "soup"}"#),
        ("schedules.nightly.max_attempts", "1"),
        ("schedules.nightly.concurrency_key", "night"),
        ("jobs.max_schedules", "1"),
    ];
    for store in ["sqlite", "postgres"] {
        let served = match store {
            "sqlite" => Served::with(Work::Nobody, &settings).await,
            _ => Served::on_postgres(Work::Nobody, &settings).await,
        };
        let client = &served.client;
        let path = "/v1/schedules/nightly";
        until("it to be there", SOON, async || get(client, path, &[]).await.status == 200).await;
        let is = schedule(client, "nightly").await;
        assert_eq!((&is["source"], &is["max_attempts"]), (&json!("config"), &json!(1)), "{is}");
        assert_eq!(is["input"], json!({"dish": "soup"}));
        let other = json!({"cron": "0 4 * * *", "kind": "echo"});
        assert_problem(&put(client, "nightly", &other).await, 409, "schedule-configured");
        assert_problem(&client.send(Method::DELETE, path, &[], "").await, 409, "schedule-configured");
        assert_eq!(act(client, "nightly", "pause").await.json()["paused"], true);
        let triggered = act(client, "nightly", "trigger").await;
        assert_eq!((triggered.status, &triggered.json()["concurrency_key"]), (202, &json!("night")));
        // It is none of those that clients may have.
        let own = json!({"cron": "0 4 * * *", "kind": "echo"});
        assert_eq!(put(client, "own", &own).await.status, 201);
        assert_problem(&put(client, "another", &own).await, 429, "quota-exceeded");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn the_job_of_a_tick_that_needs_a_permit_starts_at_once_when_there_is_one() {
    // Nobody looks for jobs that wait for permits unless he is told to.
    let settings = [QUICK, ("upkeep.permits", "1h"), ("quotas.concurrent_jobs", "1")];
    let served = Served::with(Work::Worker, &settings).await;
    plant(&served, "limited", CatchUp::One, 0).await;
    until("the job of the tick to be done", SOON, async || {
        jobs_of(&served.client, "limited").await.iter().any(|job| job["status"] == "succeeded")
    })
    .await;
    assert!(served.stop().await);
}
