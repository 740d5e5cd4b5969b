//! What a client does, drawn from dice. Its n-th turn is the same whenever the seed is, whatever the answers before it were:
//! each turn has dice of its own. Only which job a read, a cancel or a fetch names follows from what was accepted by then.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use super::dice::Dice;
use super::handler::Order;
use super::history::Ask;
use super::lacks::{Lacks, Part};

/// The longest pause of a client between two requests, in milliseconds; half of it on average.
const PAUSE: u64 = 400;
/// Bytes that make an input one for the blob store.
const LARGE: usize = 90_000;
/// Keys that several clients share.
const SHARED_KEYS: u64 = 12;
/// The most jobs of a batch.
const BATCH: u64 = 5;
/// How old the ids are that clients choose, in milliseconds. A replica refuses ids of the future, and its clock may be an hour
/// behind; it refuses those of half a day ago too.
const AGE_OF_IDS: u64 = 2 * 3_600_000;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Their name.
    pub name: String,
    /// Which of the clients.
    pub place: u64,
    /// What settles all that they do.
    pub dice: Dice,
    /// The kinds that they ask for: the one with orders, and one that returns its input.
    pub kinds: (&'static str, &'static str),
    /// Whom some jobs tell of their ends.
    pub webhook: Option<String>,
    /// What they leave alone, since an earlier release takes part.
    pub lacks: Lacks,
}

/// One turn of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// How long they rest before.
    pub pause: Duration,
    /// What they do.
    pub deed: Deed,
    /// For what is settled by the answers: which job, which replica, whether to repeat.
    pub dice: Dice,
}

/// What is done in a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// To send what makes jobs.
    Submit(Submit),
    /// To read a job.
    Read {
        /// For a while, until it has ended.
        wait: bool,
        /// Unless it is still of this version.
        seen: Option<u64>,
    },
    /// To cancel a job.
    Cancel,
    /// To fetch the result of a job.
    Output,
}

/// One request that makes jobs, ready to be sent as often as it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// What is asked, for each job.
    pub asks: Vec<Ask>,
    /// How.
    pub method: &'static str,
    /// The path and the query.
    pub path: String,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Submit {
    /// Whether the same request again is the same request.
    pub fn is_repeatable(&self) -> bool {
        self.asks.iter().all(|ask| matches!(ask, Ask::Submit { key: Some(_), .. }))
    }

    /// Whether each job has an answer of its own in the one answer.
    pub fn is_batch(&self) -> bool {
        self.path == "/v1/batches"
    }
}

impl Habits {
    /// The n-th turn. `since_epoch`: what the clock shows, in milliseconds; ids tell it.
    pub fn turn(&self, n: u64, since_epoch: u64) -> Turn {
        let mut dice = self.dice.of_part(&n.to_string());
        let pause = dice.millis(0, PAUSE);
        let deed = match dice.below(100) {
            0..45 => Deed::Submit(self.submit(n, since_epoch, &mut dice)),
            45..90 => {
                let (wait, seen) = (dice.percent(30), dice.percent(30).then(|| dice.below(6)));
                Deed::Read { wait, seen }
            }
            90..95 => Deed::Cancel,
            _ => Deed::Output,
        };
        Turn { pause, deed, dice }
    }

    fn submit(&self, n: u64, since_epoch: u64, dice: &mut Dice) -> Submit {
        // Room for the jobs of a batch, and none that a shared key has.
        let own = (self.place + 1) * 1_000_000 + n * 10;
        let own_key = format!("{}-{own}", self.name);
        match dice.below(100) {
            0..30 => self.single(own, None, dice),
            30..55 => self.single(own, Some(own_key), dice),
            55..63 => self.named(own, since_epoch, dice),
            63..70 => self.batch(own, own_key, dice),
            _ => {
                // The same key is the same request, whoever sends it: all of it follows from the key.
                let shared = n / 22 * SHARED_KEYS + dice.below(SHARED_KEYS);
                let mut submit = self.single(shared, Some(format!("shared-{shared}")), &mut Dice::new(shared));
                prefer(&mut submit, dice);
                submit
            }
        }
    }

    fn single(&self, number: u64, key: Option<String>, dice: &mut Dice) -> Submit {
        let asks = vec![Ask::Submit { number, key: key.clone(), id: None }];
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        if dice.percent(50) {
            let body = self.job(number, dice).to_string();
            return Submit { asks, method: "POST", path: "/v1/jobs".to_owned(), headers, body };
        }
        let Wish { kind, order, delay, webhook } = self.wish(number, dice);
        let delay = delay.map(|delay| format!("&delay={delay}")).unwrap_or_default();
        // Of a URL such as the receiver's nothing has to be written otherwise in a query.
        let webhook = webhook.map(|url| format!("&webhook_url={url}")).unwrap_or_default();
        let path = format!("/v1/kinds/{kind}/jobs?max_attempts=3&priority={}{delay}{webhook}", dice.below(10));
        let mut body = json!(order).to_string();
        if dice.percent(16) {
            // Too large for the database; such an input may not be JSON by its type.
            body.push_str(&" ".repeat(LARGE));
            "application/octet-stream".clone_into(&mut headers[0].1);
        }
        let mut submit = Submit { asks, method: "POST", path, headers, body };
        prefer(&mut submit, dice);
        submit
    }

    /// A job under an id of the client's own.
    fn named(&self, number: u64, since_epoch: u64, dice: &mut Dice) -> Submit {
        if self.lacks.includes(Part::Ids) {
            return self.single(number, Some(format!("{}-{number}", self.name)), dice);
        }
        let mut random = [0; 10];
        random[..8].copy_from_slice(&dice.draw().to_be_bytes());
        let millis = since_epoch.saturating_sub(AGE_OF_IDS);
        let id: Uuid = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        // As the tables have it: such an id is a key too.
        let asks = vec![Ask::Submit { number, key: Some(format!("\"{id}\"")), id: Some(id.to_string()) }];
        let headers = vec![("content-type", "application/json".to_owned())];
        let body = self.job(number, dice).to_string();
        Submit { asks, method: "PUT", path: format!("/v1/jobs/{id}"), headers, body }
    }

    /// Several jobs under one key.
    fn batch(&self, first: u64, key: String, dice: &mut Dice) -> Submit {
        if self.lacks.includes(Part::Batches) {
            return self.single(first, Some(key), dice);
        }
        let numbers = first..first + 2 + dice.below(BATCH - 1);
        // Each job of it has its place in it for a key; in the tables it has none.
        let ask = |number| Ask::Submit { number, key: Some(format!("{key}/{}", number - first)), id: None };
        let asks = numbers.clone().map(ask).collect();
        let jobs: Vec<Value> = numbers.map(|number| self.job(number, dice)).collect();
        let headers = vec![("content-type", "application/json".to_owned()), ("idempotency-key", key)];
        Submit {
            asks,
            method: "POST",
            path: "/v1/batches".to_owned(),
            headers,
            body: json!({ "jobs": jobs }).to_string(),
        }
    }

    /// A job as a body has it.
    fn job(&self, number: u64, dice: &mut Dice) -> Value {
        let Wish { kind, order, delay, webhook } = self.wish(number, dice);
        let webhook = webhook.map(|url| json!({ "url": url }));
        json!({ "kind": kind, "input": order, "delay": delay, "max_attempts": 3, "webhook": webhook })
    }

    fn wish(&self, number: u64, dice: &mut Dice) -> Wish {
        let order = order(number, dice);
        let kind = if dice.percent(85) { self.kinds.0 } else { self.kinds.1 };
        let delay = dice.percent(20).then(|| format!("{}ms", dice.below(2_500)));
        // Drawn in any case: what is left out for an earlier release moves nothing else.
        let tells = dice.percent(30);
        Wish { kind, order, delay, webhook: self.webhook.clone().filter(|_| tells) }
    }
}

/// What a job is to be.
struct Wish {
    kind: &'static str,
    order: Order,
    delay: Option<String>,
    webhook: Option<String>,
}

/// Some wait for the end of what they submit.
fn prefer(submit: &mut Submit, dice: &mut Dice) {
    if dice.percent(15) {
        submit.headers.push(("prefer", "wait=2".to_owned()));
    }
}

fn order(number: u64, dice: &mut Dice) -> Order {
    let millis = match dice.below(100) {
        0..70 => dice.below(200),
        70..90 => 200 + dice.below(1_000),
        // Longer than a lease: these are still running when a worker is declared dead.
        _ => 1_200 + dice.below(4_000),
    };
    Order {
        number,
        millis,
        failures: if dice.percent(20) { i32::from(dice.percent(30)) + 1 } else { 0 },
        fatal: dice.percent(15),
        reports: dice.percent(50),
        stubborn: dice.percent(5),
        padding: if dice.percent(5) { 100_000 } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn habits(seed: u64, place: u64) -> Habits {
        let (name, webhook) = (format!("c{place}"), Some("http://127.0.0.1:9/".to_owned()));
        let dice = Dice::new(seed).of_part(&name);
        Habits { name, place, dice, kinds: ("journaled", "shell"), webhook, lacks: Lacks::default() }
    }

    fn submits(habits: &Habits) -> Vec<Submit> {
        let deeds = (0..2_000).map(|n| habits.turn(n, NOW).deed);
        deeds.filter_map(|deed| if let Deed::Submit(submit) = deed { Some(submit) } else { None }).collect()
    }

    #[test]
    fn a_turn_is_the_same_however_the_answers_of_the_turns_before_were_taken() {
        let client = habits(7, 3);
        let answered: Vec<Deed> = (0..200)
            .map(|n| {
                let Turn { deed, mut dice, .. } = client.turn(n, NOW);
                // As often as answers make it draw.
                for _ in 0..n % 7 {
                    dice.draw();
                }
                deed
            })
            .collect();
        let in_peace: Vec<Deed> = (0..200).rev().map(|n| habits(7, 3).turn(n, NOW).deed).rev().collect();
        assert_eq!(answered, in_peace);
        assert_ne!(client.turn(0, NOW), habits(8, 3).turn(0, NOW));
        assert_ne!(client.turn(0, NOW), client.turn(1, NOW));
    }

    #[test]
    fn a_shared_key_is_one_request_and_every_other_number_is_one_clients() {
        let mut bodies = std::collections::HashMap::new();
        let mut owned = HashSet::new();
        for place in 0..8 {
            for submit in submits(&habits(1, place)) {
                let shared = submit.headers.iter().find(|(_, value)| value.starts_with("shared-"));
                if let Some((_, key)) = shared {
                    let same = (submit.path.clone(), submit.body.clone());
                    assert_eq!(*bodies.entry(key.clone()).or_insert_with(|| same.clone()), same);
                } else {
                    for ask in &submit.asks {
                        let Ask::Submit { number, .. } = ask else { unreachable!() };
                        assert!(*number >= 1_000_000 && owned.insert(*number), "{number}");
                    }
                }
            }
        }
        assert!(bodies.len() > 100);
    }

    #[test]
    fn batches_own_ids_and_large_inputs_are_drawn_unless_an_earlier_release_lacks_them() {
        let drawn = submits(&habits(1, 0));
        let batches = drawn.iter().filter(|submit| submit.is_batch());
        assert!(batches.clone().all(|batch| (2..=5).contains(&batch.asks.len()) && batch.is_repeatable()));
        let puts = drawn.iter().filter(|submit| submit.method == "PUT");
        assert!(batches.count() > 20 && puts.clone().count() > 20 && puts.clone().all(Submit::is_repeatable));
        assert!(drawn.iter().any(|submit| submit.body.len() > LARGE));
        let older = Habits { lacks: Lacks::read("batches,ids").unwrap(), ..habits(1, 0) };
        assert!(submits(&older).iter().all(|submit| !submit.is_batch() && submit.method == "POST"));
    }
}
