//! The examples of the document are what the service answers. `RAINCHECK_WRITE_DOCS=1` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::document;
use crate::api::webhooks::settings;
use crate::api::{JSON, get, post_job, post_text};
use crate::harness::client::Answer;
use crate::harness::receiver::Receiver;
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;
use crate::tidy::tree;

mod of_work;

const FOLDER: &str = "api/src/http/openapi/examples";

/// Answers by the names of their files. What differs each time is made the same.
#[derive(Default)]
struct Examples {
    taken: BTreeMap<String, Value>,
    ids: Vec<String>,
}

impl Examples {
    fn keep(&mut self, name: &str, answer: &Answer) {
        assert!((200..300).contains(&answer.status), "{name}: {} {:?}", answer.status, answer.body);
        self.add(name, answer.json());
    }

    fn refused(&mut self, code: &str, answer: &Answer) {
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        self.add(&format!("problem-{code}"), problem);
    }

    fn add(&mut self, name: &str, mut value: Value) {
        self.settle(&mut value);
        assert!(self.taken.insert(name.to_owned(), value).is_none(), "{name} was taken twice");
    }

    fn settle(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match name.as_str() {
                        "poll_after_ms" if field.is_number() => *field = json!(1000),
                        "local" => *field = json!("2026-12-01T13:00:00+01:00"),
                        "estimate" | "queue_position" | "heartbeat_at" => *field = Value::Null,
                        "latency_ms" => *field = json!(12),
                        _ => self.settle(field),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.settle(item)),
            Value::String(text) => *text = self.settled(text),
            _ => {}
        }
    }

    /// Ids are numbered as they come, instants are one and the same.
    fn settled(&mut self, text: &str) -> String {
        let is_instant =
            text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z') && text.starts_with("20");
        if is_instant {
            return "2026-12-01T12:00:00Z".to_owned();
        }
        if text.starts_with("http://127.0.0.1:") {
            return "https://example.com/raincheck".to_owned();
        }
        // A ticket is another one each time.
        let (text, ticket) = text.split_once("rt_").map_or((text, ""), |(before, _)| (before, "rt_…"));
        // What a lease's token keeps others off with is another one each time, too.
        let mut settled = String::new();
        let mut rest = text;
        while let Some(at) = rest.char_indices().map(|(at, _)| at).find(|at| is_uuid(rest.get(*at..at + 36))) {
            let id = &rest[at..at + 36];
            let number = self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
                self.ids.push(id.to_owned());
                self.ids.len() - 1
            });
            settled.push_str(&rest[..at]);
            write!(settled, "0192f0c1-2345-7abc-8def-{number:012}").unwrap();
            rest = &rest[at + 36..];
            if let Some(secret) = rest.strip_prefix('.').and_then(|rest| rest.get(..32)).filter(|it| is_hex(it)) {
                settled.push_str(".00000000000000000000000000000000");
                rest = &rest[1 + secret.len()..];
            }
        }
        settled + rest + ticket
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uuid(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.is_ascii() && text.parse::<uuid::Uuid>().is_ok())
}

async fn jobs(examples: &mut Examples) {
    let served = Served::working().await;
    let client = &served.client;
    let submission = json!({
        "kind": "echo", "input": {"month": 3}, "priority": 7, "timeouts": {"run": "5m"}, "retention": {"result": "7d"},
        "max_attempts": 3, "metadata": {"order": "42"}, "tags": ["march"],
    });
    examples.add("submission", submission.clone());
    let key = ("idempotency-key", "order-42");
    let ended = post_job(client, &submission, &[("prefer", "wait=15"), key]).await;
    examples.keep("job-succeeded", &ended);
    examples.keep("job-failed", &post_job(client, &json!({"kind": "failing"}), &[("prefer", "wait=15")]).await);
    let mut look = submission.clone();
    look["validate_only"] = json!(true);
    examples.keep("valid", &post_job(client, &look, &[]).await);
    let running = client.submit("sleep", &json!({"seconds": 60})).await;
    until("it to run", std::time::Duration::from_secs(10), async || {
        client.job(&running).await["status"] == "in_progress"
    })
    .await;
    let cancel = |id: &str| (Method::POST, format!("/v1/jobs/{id}/cancel"));
    let reason = json!({"reason": "no longer needed"});
    examples.add("cancel-request", reason.clone());
    let (method, path) = cancel(&running);
    examples.keep("job-asked-to-stop", &client.send(method, &path, &[JSON], reason.to_string()).await);

    let result = format!("/v1/jobs/{}/result", ended.job_id());
    examples.refused("range-not-satisfiable", &get(client, &result, &[("range", "bytes=99-")]).await);
    let (method, path) = cancel(&ended.job_id());
    examples.refused("job-already-finished", &client.send(method, &path, &[], "").await);
    let other = json!({"kind": "echo", "input": {"month": 4}});
    examples.refused("idempotency-key-reused", &post_job(client, &other, &[key]).await);
    assert!(served.stop().await);
}

async fn waiting(examples: &mut Examples) {
    let served = Served::with(Work::Nobody, &[("jobs.max_queued", "2")]).await;
    let client = &served.client;
    let queued = post_job(client, &json!({"kind": "echo", "tags": ["march"]}), &[]).await;
    examples.keep("job-queued", &queued);
    examples.keep("job-scheduled", &post_job(client, &json!({"kind": "echo", "delay": "1h"}), &[]).await);
    examples.keep("page", &get(client, "/v1/jobs?tag=march", &[]).await);
    let result = format!("/v1/jobs/{}/result", queued.job_id());
    let unfinished = get(client, &result, &[]).await;
    examples.refused("job-not-finished", &unfinished);
    let cancel = format!("/v1/jobs/{}/cancel", queued.job_id());
    examples.keep("job-canceled", &client.send(Method::POST, &cancel, &[JSON], r#"{"reason": "rain"}"#).await);
    examples.refused("job-failed", &get(client, &result, &[]).await);
    for _ in 0..2 {
        client.try_submit("echo", &json!(1)).await.unwrap();
    }
    examples.refused("queue-full", &client.try_submit("echo", &json!(1)).await.unwrap());
    assert!(served.stop().await);
}

async fn schedules(examples: &mut Examples) {
    let served = Served::with(
        Work::Nobody,
        &[("schedules.configured.cron", "0 3 * * *"), ("schedules.configured.kind", "echo")],
    )
    .await;
    let client = &served.client;
    // On one day of a leap year, so that neither the next runs nor their offsets change with the day of the test.
    let request = json!({
        "cron": "Europe/Zurich 0 7 29 2 *", "kind": "echo", "input": {"report": "sales"}, "catch_up": "one",
        "timeouts": {"run": "5m"}, "retention": {"result": "7d"}, "metadata": {"team": "sales"}, "tags": ["leap"],
    });
    examples.add("schedule-request", request.clone());
    let mut look = request.clone();
    look["validate_only"] = json!(true);
    let put = async |name: &str, body: &Value| {
        client.send(Method::PUT, &format!("/v1/schedules/{name}?runs=2"), &[JSON], body.to_string()).await
    };
    examples.keep("schedule-preview", &put("leap-day", &look).await);
    examples.keep("schedule-made", &put("leap-day", &request).await);
    until("the schedule of the configuration", std::time::Duration::from_secs(10), async || {
        get(client, "/v1/schedules/configured", &[]).await.status == 200
    })
    .await;
    examples.refused("schedule-configured", &put("configured", &request).await);
    examples.refused("schedule-not-found", &get(client, "/v1/schedules/nightly", &[]).await);
    let page = get(client, "/v1/schedules?cursor=configured", &[]).await;
    examples.keep("schedule-page", &page);
    assert!(served.stop().await);
}

async fn mistakes(examples: &mut Examples) {
    let served = Served::idle().await;
    let client = &served.client;
    let past = json!({"kind": "echo", "deadline": "2001-01-01T00:00:00Z"});
    let wrong = json!({"kind": "typed", "input": {"dish": 7}, "priority": 99, "dealine": "2099-01-01T00:00:00Z"});
    let fresh = format!("/v1/jobs/{}", raincheck_shared::lifecycle::IdSource.job());
    let page = [JSON, ("origin", "https://elsewhere.example")];
    let large = vec![7_u8; 64 * 1024 + 1];
    let kinds = "/v1/kinds/echo/jobs";
    for (code, answer) in [
        ("malformed-request", post_text(client, "{", &[]).await),
        ("idempotency-key-invalid", post_job(client, &json!({"kind": "echo"}), &[("idempotency-key", "\"open")]).await),
        ("invalid-cursor", get(client, "/v1/jobs?cursor=x", &[]).await),
        ("job-not-found", get(client, &fresh, &[]).await),
        ("job-expired", get(client, "/v1/jobs/014b1f5c-7c00-7000-8000-000000000000", &[]).await),
        ("kind-not-found", post_job(client, &json!({"kind": "nope"}), &[]).await),
        ("route-not-found", get(client, "/v2/jobs", &[]).await),
        ("method-not-allowed", client.send(Method::DELETE, "/v1/jobs", &[], "").await),
        ("not-acceptable", get(client, "/v1/jobs", &[("accept", "text/csv")]).await),
        ("origin-not-allowed", client.send(Method::POST, kinds, &page, "1").await),
        ("unsupported-media-type", client.send(Method::POST, "/v1/jobs", &[], "{}").await),
        ("input-invalid", post_job(client, &wrong, &[]).await),
        ("deadline-in-past", post_job(client, &past, &[]).await),
        ("payload-too-large", client.send(Method::POST, kinds, &[], large).await),
    ] {
        examples.refused(code, &answer);
    }
    let failure = json!({"title": "No such dish", "detail": "the kitchen is out of noodles", "retryable": true});
    examples.add("completion-failure", failure);
    examples.keep("index", &get(client, "/", &[]).await);
    examples.keep("livez", &get(client, "/livez", &[]).await);
    examples.keep("readyz", &get(client, "/readyz", &[]).await);
    served.store.schema.close().await;
    examples.refused("store-unavailable", &get(client, &fresh, &[]).await);
    served.stop().await;
}

/// Several jobs at once, and what is told of them.
async fn batches_and_webhooks(examples: &mut Examples) {
    let receiver = Receiver::answering(200).await;
    let served = Served::with(Work::Worker, &settings(&[("webhooks.retries", "1h")])).await;
    let client = &served.client;
    let webhook = json!({"url": receiver.url()});
    let jobs = json!([{"kind": "echo", "input": 1, "webhook": webhook}, {"kind": "nope", "input": 2}]);
    let submission = json!({"jobs": jobs, "webhook": webhook});
    examples.add("batch-submission", submission.clone());
    // Nothing starts before it was answered.
    client.send(Method::POST, "/v1/queues/default/pause", &[], "").await;
    let answer = client.send(Method::POST, "/v1/batches", &[JSON], submission.to_string()).await;
    examples.keep("batch-answer", &answer);
    client.send(Method::POST, "/v1/queues/default/resume", &[], "").await;
    let (batch, job) = (answer.header("location").to_owned(), answer.json()["items"][0]["job"]["id"].clone());
    let job = format!("/v1/jobs/{}", job.as_str().unwrap());
    until("both to be told", std::time::Duration::from_secs(20), async || {
        let told = async |path: &str| get(client, path, &[]).await.json()["webhook"]["state"] == "delivered";
        told(&batch).await && told(&job).await
    })
    .await;
    examples.keep("batch", &get(client, &batch, &[]).await);
    let page = get(client, &format!("{job}/deliveries"), &[]).await;
    examples.keep("delivery-page", &page);
    let redeliver = page.json()["deliveries"][0]["links"]["redeliver"].as_str().unwrap().to_owned();
    examples.keep("delivery", &client.send(Method::POST, &redeliver, &[], "").await);
    let heard = receiver.heard();
    for (name, event) in [("webhook-body", "job.succeeded"), ("batch-webhook-body", "batch.completed")] {
        examples.add(name, heard.iter().find(|it| it.event() == event).unwrap().json());
    }
    assert!(served.stop().await);
}

/// What belongs to a job besides: its log, a ticket; and a queue.
async fn besides(examples: &mut Examples) {
    let served = Served::working().await;
    let client = &served.client;
    let failed = client.submit("failing", &json!(1)).await;
    client.done(&failed).await;
    let log = format!("/v1/jobs/{failed}/logs");
    until("its log to be there", std::time::Duration::from_secs(10), async || {
        !get(client, &log, &[]).await.json()["lines"].as_array().unwrap().is_empty()
    })
    .await;
    examples.keep("log-page", &get(client, &log, &[]).await);
    examples.keep("ticket", &client.send(Method::POST, &format!("/v1/jobs/{failed}/tickets"), &[], "").await);
    assert!(served.stop().await);
    let served = Served::idle().await;
    examples.keep("queues", &get(&served.client, "/v1/queues", &[]).await);
    examples.keep("queue", &served.client.send(Method::POST, "/v1/queues/apart/pause", &[], "").await);
    assert!(served.stop().await);
}

#[tokio::test]
async fn the_examples_of_the_document_are_what_the_service_answers() {
    let mut examples = Examples::default();
    jobs(&mut examples).await;
    waiting(&mut examples).await;
    mistakes(&mut examples).await;
    batches_and_webhooks(&mut examples).await;
    besides(&mut examples).await;
    schedules(&mut examples).await;
    of_work::leases(&mut examples).await;
    of_work::more_attempts(&mut examples).await;
    of_work::kinds_and_keys(&mut examples).await;
    let folder = tree::root().join(FOLDER);
    let text = |value: &Value| format!("{}\n", serde_json::to_string_pretty(value).unwrap());
    if std::env::var_os("RAINCHECK_WRITE_DOCS").is_some() {
        for (name, value) in &examples.taken {
            std::fs::write(folder.join(format!("{name}.json")), text(value)).unwrap();
        }
        // They are part of the next build.
        return;
    }
    let document = document().to_string();
    let mut kept: Vec<String> = Vec::new();
    for file in tree::sources(&["json"]).into_iter().filter(|file| file.is_in(&[FOLDER])) {
        let name = file.path.trim_start_matches(FOLDER).trim_matches('/').trim_end_matches(".json").to_owned();
        let taken = examples.taken.get(&name).unwrap_or_else(|| panic!("{name}: nobody answers this"));
        assert_eq!(file.text, text(taken), "{name} has drifted: RAINCHECK_WRITE_DOCS=1 writes it anew");
        assert!(document.contains(&taken.to_string()), "{name} is not in the document");
        kept.push(name);
    }
    // Files come by their whole names, the others without `.json`.
    kept.sort();
    assert_eq!(kept, examples.taken.keys().cloned().collect::<Vec<_>>());
}
