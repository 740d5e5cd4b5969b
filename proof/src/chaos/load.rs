//! Clients at a bounded rate: they submit with and without keys, repeat, read, wait, cancel, through any replica, and write
//! down every answer.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::dice::Dice;
use super::handler::Order;
use super::history::{Ask, Heard, JobSeen, Seen};
use super::ledger::Ledger;
use super::moment::Moment;
use crate::stage::client::{Answer, Client};
use crate::stage::wait::alongside;

/// Clients at once, unless told otherwise.
pub const CLIENTS: u64 = 32;
/// The longest pause of a client between two requests, in milliseconds; half of it on average.
const PAUSE: u64 = 400;
/// Bytes that make an input one for the blob store.
const LARGE: usize = 90_000;
/// How long a client waits for an answer. Longer than any wait that it asks for, and than the server's own patience.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a request with a key is repeated while its outcome is unknown.
const REPEATS: usize = 8;
/// Keys that several clients share.
const SHARED_KEYS: u64 = 12;

/// A replica and its name.
pub type Replica = (String, Client);

/// What all clients share.
#[derive(Debug, Clone)]
pub struct Office {
    /// Where they write.
    pub ledger: Arc<Ledger>,
    /// Whom they ask.
    pub replicas: Arc<Vec<Replica>>,
    /// The kinds that they ask for: the one with orders, and one that returns its input.
    pub kinds: (&'static str, &'static str),
    /// Whom some jobs tell of their ends.
    pub webhook: Option<String>,
}

/// The clients at work.
pub struct Load {
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts them.
    pub fn start(office: &Office, clients: u64, dice: &Dice) -> Self {
        let (stop, stopped) = watch::channel(false);
        let clients = (0..clients)
            .map(|n| {
                let name = format!("c{n}");
                let dice = dice.of_part(&name);
                let client = Visitor { office: office.clone(), dice, name, sent: 0, place: n };
                alongside(client.work(stopped.clone()))
            })
            .collect();
        Self { stop, clients }
    }

    /// Lets every client finish what it does.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

/// One client.
struct Visitor {
    office: Office,
    dice: Dice,
    name: String,
    sent: u64,
    place: u64,
}

/// One submit, ready to be sent as often as it takes.
struct Submit {
    ask: Ask,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Visitor {
    async fn work(mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            tokio::time::sleep(self.dice.millis(0, PAUSE)).await;
            match self.dice.below(100) {
                0..45 => self.submit().await,
                45..90 => self.read().await,
                90..95 => self.cancel().await,
                _ => self.output().await,
            }
        }
    }

    async fn submit(&mut self) {
        let submit = self.some_submit();
        let repeatable = matches!(submit.ask, Ask::Submit { key: Some(_), .. });
        for _ in 0..REPEATS {
            let headers: Vec<(&str, &str)> =
                submit.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let heard = self.ask(&submit.ask, Method::POST, &submit.path, &headers, &submit.body).await;
            let unknown = match heard {
                Heard::Nothing(_) | Heard::Other { code: 503 | 409, .. } => true,
                // Sometimes a client repeats itself for no reason.
                _ => self.dice.percent(10),
            };
            if !repeatable || !unknown {
                return;
            }
            tokio::time::sleep(self.dice.millis(50, 500)).await;
        }
    }

    fn some_submit(&mut self) -> Submit {
        self.sent += 1;
        let own = self.place * 1_000_000 + self.sent;
        let (number, key, mut choices) = match self.dice.below(100) {
            0..40 => (own, None, self.dice.of_part(&own.to_string())),
            40..75 => (own, Some(format!("{}-{own}", self.name)), self.dice.of_part(&own.to_string())),
            _ => {
                // The same key is the same request, whoever sends it: all of it follows from the key.
                let shared = self.sent / 10 * SHARED_KEYS + self.dice.below(SHARED_KEYS);
                (shared, Some(format!("shared-{shared}")), Dice::new(shared))
            }
        };
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(key.iter().map(|key| ("idempotency-key", key.clone())));
        let order = order(number, &mut choices);
        let kind = if choices.percent(85) { self.office.kinds.0 } else { self.office.kinds.1 };
        let delay = choices.percent(20).then(|| format!("{}ms", choices.below(2_500)));
        if self.dice.percent(15) {
            headers.push(("prefer", "wait=2".to_owned()));
        }
        let ask = Ask::Submit { number, key };
        let webhook = self.office.webhook.as_deref().filter(|_| choices.percent(30));
        if choices.percent(50) {
            let webhook = webhook.map(|url| json!({ "url": url }));
            let body = json!({ "kind": kind, "input": order, "delay": delay, "max_attempts": 3, "webhook": webhook });
            return Submit { ask, path: "/v1/jobs".to_owned(), headers, body: body.to_string() };
        }
        let delay = delay.map(|delay| format!("&delay={delay}")).unwrap_or_default();
        // Of a URL such as the receiver's nothing has to be written otherwise in a query.
        let webhook = webhook.map(|url| format!("&webhook_url={url}")).unwrap_or_default();
        let path = format!("/v1/kinds/{kind}/jobs?max_attempts=3&priority={}{delay}{webhook}", choices.below(10));
        let mut body = json!(order).to_string();
        if choices.percent(8) {
            // Too large for the database; such an input may not be JSON by its type.
            body.push_str(&" ".repeat(LARGE));
            "application/octet-stream".clone_into(&mut headers[0].1);
        }
        Submit { ask, path, headers, body }
    }

    async fn read(&mut self) {
        let Some(job) = self.office.ledger.some_job(&mut self.dice) else { return };
        let (wait, seen) = (self.dice.percent(30), self.dice.percent(30).then(|| self.dice.below(6)));
        let path = format!("/v1/jobs/{job}{}", if wait { "?wait=3s" } else { "" });
        let seen = seen.map(|version| format!("\"{version}\""));
        let headers: Vec<(&str, &str)> = seen.iter().map(|seen| ("if-none-match", seen.as_str())).collect();
        self.ask(&Ask::Read(job), Method::GET, &path, &headers, "").await;
    }

    async fn cancel(&mut self) {
        let Some(job) = self.office.ledger.some_job(&mut self.dice) else { return };
        let path = format!("/v1/jobs/{job}/cancel");
        self.ask(&Ask::Cancel(job), Method::POST, &path, &[], "").await;
    }

    async fn output(&mut self) {
        let Some(job) = self.office.ledger.some_job(&mut self.dice) else { return };
        let path = format!("/v1/jobs/{job}/result");
        self.ask(&Ask::Output(job), Method::GET, &path, &[], "").await;
    }

    async fn ask(&mut self, ask: &Ask, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Heard {
        let replica = self.dice.pick(&self.office.replicas).unwrap().clone();
        ask_and_note(&self.office.ledger, &self.name, &replica, ask, (method, path, headers, body)).await
    }
}

fn order(number: u64, choices: &mut Dice) -> Order {
    let millis = match choices.below(100) {
        0..70 => choices.below(200),
        70..90 => 200 + choices.below(1_000),
        // Longer than a lease: these are still running when a worker is declared dead.
        _ => 1_200 + choices.below(4_000),
    };
    Order {
        number,
        millis,
        failures: if choices.percent(20) { i32::from(choices.percent(30)) + 1 } else { 0 },
        fatal: choices.percent(15),
        reports: choices.percent(50),
        stubborn: choices.percent(5),
        padding: if choices.percent(5) { 100_000 } else { 0 },
    }
}

/// Reads a job once, and writes it down.
pub async fn read_once(ledger: &Ledger, replica: &Replica, job: &str) -> Heard {
    let (ask, path) = (Ask::Read(job.to_owned()), format!("/v1/jobs/{job}"));
    ask_and_note(ledger, "auditor", replica, &ask, (Method::GET, &path, &[], "")).await
}

async fn ask_and_note(
    ledger: &Ledger,
    client: &str,
    replica: &Replica,
    ask: &Ask,
    (method, path, headers, body): (Method, &str, &[(&str, &str)], &str),
) -> Heard {
    let sent = Moment::now();
    let answer = tokio::time::timeout(PATIENCE, replica.1.try_send(method, path, headers, body.to_owned())).await;
    let heard = match answer {
        Ok(Ok(answer)) => understand(ask, &answer),
        Ok(Err(error)) => Heard::Nothing(error.to_string()),
        Err(_) => Heard::Nothing(format!("no answer within {PATIENCE:?}")),
    };
    let (client, ask) = (client.to_owned(), ask.clone());
    ledger.note(Seen { sent, got: Moment::now(), client, replica: replica.0.clone(), ask, heard: heard.clone() });
    heard
}

fn understand(ask: &Ask, answer: &Answer) -> Heard {
    let code = answer.status;
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match (ask, &body) {
        (Ask::Output(_), Some(body)) if code == 200 => Heard::Output(serde_json::from_value(body.clone()).ok()),
        (Ask::Submit { .. } | Ask::Read(_) | Ask::Cancel(_), Some(body)) if matches!(code, 200 | 202) => {
            // Behind the version of a job with a webhook stands how far that is.
            let etag = answer.header("etag").trim_matches('"').split('.').next().and_then(|text| text.parse().ok());
            job_in(body).map_or_else(|| other(answer, Some(body)), |job| Heard::Job { code, job, etag })
        }
        _ => other(answer, body.as_ref()),
    }
}

fn job_in(body: &Value) -> Option<JobSeen> {
    Some(JobSeen {
        id: body["id"].as_str()?.to_owned(),
        version: body["version"].as_i64()?,
        status: body["status"].as_str()?.to_owned(),
        done: body["done"].as_bool()?,
        attempt: body["attempt"].as_i64()?,
        output: serde_json::from_value(body["result"]["value"].clone()).ok(),
    })
}

fn other(answer: &Answer, body: Option<&Value>) -> Heard {
    let code = body.and_then(|body| body["code"].as_str()).map(ToOwned::to_owned);
    let start = || String::from_utf8_lossy(&answer.body).chars().take(200).collect();
    Heard::Other {
        code: answer.status,
        problem: code.unwrap_or_else(start),
        retry_after: !answer.header("retry-after").is_empty(),
    }
}
