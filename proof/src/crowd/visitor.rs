//! One client: it calls whatever comes to its mind, on whichever replica.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raincheck_shared::lifecycle::IdSource;
use reqwest::Method;
use serde_json::{Value, json};

use super::memory::{Memory, Moment};
use crate::chaos::dice::Dice;
use crate::stage::client::{Answer, Client};

const JSON: (&str, &str) = ("content-type", "application/json");
/// Jobs that a client remembers.
const MEMORY: usize = 40;
/// Keys that all clients share.
const KEYS: u64 = 50;

pub(super) struct Visitor {
    replicas: Vec<Client>,
    memory: Arc<Memory>,
    dice: Dice,
    jobs: Vec<String>,
}

impl Visitor {
    pub(super) fn new(replicas: Vec<Client>, memory: Arc<Memory>, dice: Dice) -> Self {
        Self { replicas, memory, dice, jobs: Vec::new() }
    }

    pub(super) async fn stroll(mut self, started: Instant, time: Duration) {
        while started.elapsed() < time {
            match self.dice.below(100) {
                0..14 => self.submit().await,
                14..22 => self.submit_raw().await,
                22..28 => self.submit_with_key().await,
                28..34 => self.put().await,
                34..54 => self.read().await,
                54..62 => self.wait().await,
                62..70 => self.result().await,
                70..76 => self.cancel().await,
                76..80 => self.retry().await,
                80..86 => self.list().await,
                86..90 => self.follow().await,
                90..94 => self.erase().await,
                94..97 => self.look("/v1/kinds").await,
                _ => self.look("/v1/queues").await,
            }
        }
    }

    async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> (Answer, Moment) {
        let replica = self.dice.pick(&self.replicas).unwrap().clone();
        let asked = self.memory.moment();
        let answer = replica.send(method.clone(), path, headers, body.to_owned()).await;
        assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        (answer, asked)
    }

    /// A job from memory.
    fn some_job(&mut self) -> String {
        self.dice.pick(&self.jobs).cloned().unwrap_or_else(|| IdSource.job().to_string())
    }

    fn remember(&mut self, id: String) {
        if self.jobs.len() == MEMORY {
            self.jobs.remove(0);
        }
        self.jobs.push(id);
    }

    fn some_body(&mut self) -> Value {
        match self.dice.below(10) {
            0..5 => json!({ "kind": "echo", "input": self.dice.below(1000) }),
            5..8 => json!({ "kind": "sleep", "input": { "seconds": 0.2 } }),
            8 => json!({ "kind": "echo", "delay": "1s", "tags": ["later"] }),
            _ => json!({ "kind": "fails" }),
        }
    }

    fn accepted(&mut self, answer: &Answer, asked: Moment) -> Option<String> {
        if !matches!(answer.status, 200 | 202) {
            self.memory.other();
            return None;
        }
        let job = answer.json();
        self.memory.job(&job, asked);
        let id = job["id"].as_str().unwrap().to_owned();
        self.remember(id.clone());
        Some(id)
    }

    async fn submit(&mut self) {
        let body = self.some_body().to_string();
        let wait = self.dice.percent(20);
        let headers = if wait { vec![JSON, ("prefer", "wait=1")] } else { vec![JSON] };
        let (answer, asked) = self.ask(Method::POST, "/v1/jobs", &headers, &body).await;
        assert!(self.accepted(&answer, asked).is_some(), "{}", answer.status);
    }

    async fn submit_raw(&mut self) {
        let path = format!("/v1/kinds/echo/jobs?priority={}", self.dice.below(10));
        let (answer, asked) = self.ask(Method::POST, &path, &[("content-type", "text/plain")], "soup").await;
        assert!(self.accepted(&answer, asked).is_some(), "{}", answer.status);
    }

    async fn submit_with_key(&mut self) {
        let key = format!("key-{}", self.dice.below(KEYS));
        let body = json!({ "kind": "echo", "input": key }).to_string();
        let (answer, asked) = self.ask(Method::POST, "/v1/jobs", &[JSON, ("idempotency-key", &key)], &body).await;
        match self.accepted(&answer, asked) {
            Some(id) => self.memory.key(&key, &id),
            None => assert_eq!(answer.status, 409, "in flight is all that it may be"),
        }
    }

    async fn put(&mut self) {
        let id = IdSource.job().to_string();
        let path = format!("/v1/jobs/{id}");
        for _ in 0..=self.dice.below(2) {
            let (answer, asked) = self.ask(Method::PUT, &path, &[JSON], r#"{"kind": "echo", "input": 1}"#).await;
            assert_eq!(self.accepted(&answer, asked), Some(id.clone()), "{}", answer.status);
        }
    }

    async fn read(&mut self) {
        let id = self.some_job();
        let tag = format!("\"{}\"", 1 + self.dice.below(3));
        let headers = if self.dice.percent(30) { vec![("if-none-match", tag.as_str())] } else { Vec::new() };
        let (answer, asked) = self.ask(Method::GET, &format!("/v1/jobs/{id}"), &headers, "").await;
        self.told(&id, &answer, asked);
    }

    async fn wait(&mut self) {
        let id = self.some_job();
        let (answer, asked) = self.ask(Method::GET, &format!("/v1/jobs/{id}?wait=1s"), &[], "").await;
        self.told(&id, &answer, asked);
    }

    fn told(&self, id: &str, answer: &Answer, asked: Moment) {
        match answer.status {
            200 => self.memory.job(&answer.json(), asked),
            404 => self.memory.missing(id, asked),
            304 => self.memory.other(),
            other => panic!("a read of {id} was answered {other}"),
        }
    }

    async fn result(&mut self) {
        let id = self.some_job();
        let (answer, asked) = self.ask(Method::GET, &format!("/v1/jobs/{id}/result"), &[], "").await;
        self.without_job(&id, &answer, asked);
        if answer.status == 200 {
            self.memory.ended_as(&id, &["succeeded"]);
        }
    }

    /// What an answer says of a job that it does not show.
    fn without_job(&self, id: &str, answer: &Answer, asked: Moment) {
        let problem = if answer.status >= 400 { answer.json() } else { Value::Null };
        match problem["code"].as_str() {
            Some("job-not-found") => self.memory.missing(id, asked),
            Some("job-not-finished") => self.memory.unfinished(id, asked),
            Some("job-failed") => self.memory.ended_as(id, &["failed", "canceled", "expired"]),
            Some("job-succeeded") => self.memory.ended_as(id, &["succeeded"]),
            Some("job-already-finished") => self.memory.ended_as(id, &["succeeded", "failed", "expired"]),
            _ => self.memory.other(),
        }
    }

    async fn cancel(&mut self) {
        let id = self.some_job();
        let (answer, asked) = self.ask(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await;
        match answer.status {
            200 | 202 => self.memory.job(&answer.json(), asked),
            _ => self.without_job(&id, &answer, asked),
        }
    }

    async fn retry(&mut self) {
        let id = self.some_job();
        let (answer, asked) = self.ask(Method::POST, &format!("/v1/jobs/{id}/retry"), &[JSON], "{}").await;
        if self.accepted(&answer, asked).is_none() {
            self.without_job(&id, &answer, asked);
        }
    }

    async fn list(&mut self) {
        let query = *self.dice.pick(&["", "?status=succeeded", "?kind=sleep&limit=5", "?tag=later"]).unwrap();
        let (answer, asked) = self.ask(Method::GET, &format!("/v1/jobs{query}"), &[], "").await;
        for job in answer.json()["jobs"].as_array().unwrap() {
            self.memory.job(job, asked);
        }
    }

    async fn follow(&mut self) {
        let id = self.some_job();
        let replica = self.dice.pick(&self.replicas).unwrap().clone();
        let asked = self.memory.moment();
        let mut stream = match replica.try_events(&format!("/v1/jobs/{id}/events"), &[]).await {
            Ok(stream) => stream,
            Err(error) => {
                assert_eq!(error.status().map(|status| status.as_u16()), Some(404), "{error}");
                return self.memory.missing(&id, asked);
            }
        };
        for _ in 0..3 {
            // Each event was made after the one before it was heard, or before: it only must not fall behind `asked`.
            let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), stream.event()).await else { return };
            self.memory.job(&event.json(), asked);
        }
    }

    async fn erase(&mut self) {
        let id = self.some_job();
        let (answer, asked) = self.ask(Method::DELETE, &format!("/v1/jobs/{id}"), &[], "").await;
        self.without_job(&id, &answer, asked);
    }

    async fn look(&mut self, path: &str) {
        let (answer, _) = self.ask(Method::GET, path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}");
        self.memory.other();
    }
}
