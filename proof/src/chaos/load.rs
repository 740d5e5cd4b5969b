//! Clients at a bounded rate: they submit with and without keys, repeat, read, wait, cancel, through any replica, and write
//! down every answer. What they do is drawn in `requests.rs`.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::answers::{understand, understand_batch};
use super::dice::Dice;
use super::history::{Ask, Heard, Seen};
use super::lacks::Lacks;
use super::ledger::Ledger;
use super::moment::Moment;
use super::requests::{Deed, Habits, Submit};
use crate::stage::client::{Answer, Client};
use crate::stage::wait::alongside;

/// Clients at once, unless told otherwise.
pub const CLIENTS: u64 = 32;
/// How long a client waits for an answer. Longer than any wait that it asks for, and than the server's own patience.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a request with a key is repeated while its outcome is unknown.
const REPEATS: usize = 8;

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
    /// What they leave alone, since an earlier release takes part.
    pub lacks: Lacks,
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
                let (dice, webhook) = (dice.of_part(&name), office.webhook.clone());
                let habits = Habits { name, place: n, dice, kinds: office.kinds, webhook, lacks: office.lacks.clone() };
                alongside(Visitor { office: office.clone(), habits }.work(stopped.clone()))
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
    habits: Habits,
}

impl Visitor {
    async fn work(self, stopped: watch::Receiver<bool>) {
        for n in 0.. {
            let turn = self.habits.turn(n, Moment::wall_millis());
            tokio::time::sleep(turn.pause).await;
            if *stopped.borrow() {
                return;
            }
            let mut dice = turn.dice;
            match turn.deed {
                Deed::Submit(submit) => self.submit(&submit, &mut dice).await,
                Deed::Read { wait, seen } => self.read(wait, seen, &mut dice).await,
                Deed::Cancel => self.cancel(&mut dice).await,
                Deed::Output => self.output(&mut dice).await,
            }
        }
    }

    async fn submit(&self, submit: &Submit, dice: &mut Dice) {
        let headers: Vec<(&str, &str)> = submit.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let method: Method = submit.method.parse().unwrap();
        for _ in 0..REPEATS {
            let asked = (method.clone(), submit.path.as_str(), headers.as_slice(), submit.body.as_str());
            let heard = self.send(submit, asked, dice).await;
            let is_unknown = |heard: &Heard| matches!(heard, Heard::Nothing(_) | Heard::Other { code: 503 | 409, .. });
            // Sometimes a client repeats itself for no reason.
            let again = dice.percent(10) || heard.iter().any(is_unknown);
            if !submit.is_repeatable() || !again {
                return;
            }
            tokio::time::sleep(dice.millis(50, 500)).await;
        }
    }

    /// Sends it once; answers what came back for each of its jobs.
    async fn send(&self, submit: &Submit, asked: Asked<'_>, dice: &mut Dice) -> Vec<Heard> {
        let replica = dice.pick(&self.office.replicas).unwrap();
        let sent = Moment::now();
        let answer = ask(replica, asked).await;
        let heard = match answer {
            Ok(answer) if submit.is_batch() => understand_batch(&submit.asks, &answer),
            Ok(answer) => submit.asks.iter().map(|ask| understand(ask, &answer)).collect(),
            Err(nothing) => vec![Heard::Nothing(nothing); submit.asks.len()],
        };
        for (ask, heard) in submit.asks.iter().zip(&heard) {
            note(&self.office.ledger, &self.habits.name, replica, sent, (ask.clone(), heard.clone()));
        }
        heard
    }

    async fn read(&self, wait: bool, seen: Option<u64>, dice: &mut Dice) {
        let Some(job) = self.office.ledger.some_job(dice) else { return };
        let path = format!("/v1/jobs/{job}{}", if wait { "?wait=3s" } else { "" });
        let seen = seen.map(|version| format!("\"{version}\""));
        let headers: Vec<(&str, &str)> = seen.iter().map(|seen| ("if-none-match", seen.as_str())).collect();
        self.ask(Ask::Read(job), (Method::GET, &path, &headers, ""), dice).await;
    }

    async fn cancel(&self, dice: &mut Dice) {
        let Some(job) = self.office.ledger.some_job(dice) else { return };
        let path = format!("/v1/jobs/{job}/cancel");
        self.ask(Ask::Cancel(job), (Method::POST, &path, &[], ""), dice).await;
    }

    async fn output(&self, dice: &mut Dice) {
        let Some(job) = self.office.ledger.some_job(dice) else { return };
        let path = format!("/v1/jobs/{job}/result");
        self.ask(Ask::Output(job), (Method::GET, &path, &[], ""), dice).await;
    }

    async fn ask(&self, asks: Ask, asked: Asked<'_>, dice: &mut Dice) {
        let replica = dice.pick(&self.office.replicas).unwrap();
        ask_and_note(&self.office.ledger, &self.habits.name, replica, asks, asked).await;
    }
}

/// Reads a job once, and writes it down.
pub async fn read_once(ledger: &Ledger, replica: &Replica, job: &str) -> Heard {
    let (ask, path) = (Ask::Read(job.to_owned()), format!("/v1/jobs/{job}"));
    ask_and_note(ledger, "auditor", replica, ask, (Method::GET, &path, &[], "")).await
}

/// A request: its method, path, headers and body.
type Asked<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], &'a str);

async fn ask_and_note(ledger: &Ledger, client: &str, replica: &Replica, asks: Ask, asked: Asked<'_>) -> Heard {
    let sent = Moment::now();
    let heard = match ask(replica, asked).await {
        Ok(answer) => understand(&asks, &answer),
        Err(nothing) => Heard::Nothing(nothing),
    };
    note(ledger, client, replica, sent, (asks, heard.clone()));
    heard
}

async fn ask(replica: &Replica, (method, path, headers, body): Asked<'_>) -> Result<Answer, String> {
    let answer = tokio::time::timeout(PATIENCE, replica.1.try_send(method, path, headers, body.to_owned())).await;
    match answer {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

fn note(ledger: &Ledger, client: &str, replica: &Replica, sent: Moment, (ask, heard): (Ask, Heard)) {
    let (client, replica) = (client.to_owned(), replica.0.clone());
    ledger.note(Seen { sent, got: Moment::now(), client, replica, ask, heard });
}
