//! One trial: load and faults, then peace, then judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::checker::{Violation, check};
use super::crew::Asked;
use super::dice::Dice;
use super::faults::{Fault, Kind, Place, available, happen};
use super::ground::{Ground, HEARTBEAT, LEASE};
use super::handler::read_runs;
use super::history::{Heard, History};
use super::house::House;
use super::lacks::Lacks;
use super::ledger::Ledger;
use super::listener::heard;
use super::load::{Load, Office, Replica, read_once};
use super::logs;
use super::moment::Moment;
use super::schedule::{FAULTS, schedule};
use super::worker::KIND;
use crate::stage::receiver::Receiver;
use crate::stage::wait::alongside;

/// How long jobs may take to end once everything is healed. The longest part of it is what a message that was lost may
/// take to be missed.
const PATIENCE: Duration = Duration::from_secs(90);
/// The same where a promise is broken on purpose: what early-ack loses is announced again within this time.
const PATIENCE_WITH_A_MUTATION: Duration = Duration::from_secs(25);
/// How many read at the same time then.
const READERS: usize = 4;
/// How long a replica may take to answer once everything is healed.
const TO_ANSWER: Duration = Duration::from_secs(30);

/// What is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Settles everything that is left to chance.
    pub seed: u64,
    /// For how long faults strike.
    pub time: Duration,
    /// How many clients there are.
    pub clients: u64,
    /// Which are drawn from. What cannot be had of them is left out as it is drawn.
    pub kinds: Vec<Kind>,
    /// What an earlier release that takes part does not know.
    pub lacks: Lacks,
    /// The mutation by which every process breaks a promise.
    pub broken: Option<&'static str>,
}

/// What came of it.
#[derive(Debug)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// Everything that was seen.
    pub history: History,
    /// Faults that came to anything, by kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// Jobs that had a 202.
    pub accepted: usize,
    /// Late results that were refused.
    pub fenced: usize,
    /// How long the last job took to end once everything was healed.
    pub settled: Duration,
    /// Where the logs and journals are, if they were kept.
    pub folder: Option<PathBuf>,
}

/// Tries it.
pub async fn round(house: &House, trial: &Trial) -> Verdict {
    let dice = Dice::new(trial.seed);
    let mutated = trial.broken.map(|name| ("RAINCHECK_MUTATION".to_owned(), name.to_owned()));
    let extra: Vec<_> = mutated.into_iter().collect();
    let ground = if house.is_embedded() {
        Ground::prepare_embedded(house).await
    } else {
        Ground::prepare(house, &extra, &trial.lacks).await
    };
    let ledger = Arc::new(Ledger::open(ground.path()));
    let supervisor = ground.supervise();
    let webhook = ground.receiver.as_ref().map(Receiver::url);
    let office = Office {
        ledger: Arc::clone(&ledger),
        replicas: Arc::new(ground.replicas.clone()),
        kinds: (KIND, "shell"),
        webhook,
        lacks: trial.lacks.clone(),
    };
    let load = Load::start(&office, trial.clients, &dice.of_part("load"));
    let (to_be_had, _) = available(&trial.kinds, &ground.means);
    let mut faults = schedule(dice.of_part(FAULTS), trial.time, &trial.kinds);
    faults.retain(|fault| to_be_had.contains(&fault.kind));
    let counted = strike(&ground, faults, trial.time).await;
    load.stop().await;

    // What was broken on purpose may never end; that was seen by then.
    let patience = if trial.broken.is_some() { PATIENCE_WITH_A_MUTATION } else { PATIENCE };
    let settled = settle(&ground, patience).await;
    let silent = audit(&ground.replicas, &ledger, TO_ANSWER).await;
    let rows = ground.tables.rows().await;
    let deliveries = ground.tables.deliveries().await;
    let keys = ground.tables.keys().await;
    let left = left_over(&ground).await;
    supervisor.abort();
    dismiss(&ground).await;

    let logs = ground.crew.logs();
    let broken = ground.crew.broken().into_iter().chain(silent).collect();
    let history = History {
        seen: ledger.seen(),
        runs: read_runs(ground.path()),
        rows,
        deliveries,
        told: ground.receiver.as_ref().map(heard).unwrap_or_default(),
        keys,
        absences: ground.crew.absences(),
        incarnations: logs::incarnations(&logs),
        left,
        announced_again: logs::announced_again(&logs),
        excuses: ground.excuses(),
        broken,
        lease: LEASE,
        heartbeat: HEARTBEAT,
    };
    let violations = check(&history);
    // Everybody who shared it has ended.
    let folder = if violations.is_empty() { None } else { Arc::into_inner(ground).map(Ground::keep) };
    Verdict {
        seed: trial.seed,
        violations,
        history,
        faults: counted,
        accepted: ledger.jobs().len(),
        fenced: logs::fenced(&logs),
        settled,
        folder,
    }
}

/// Lets every fault strike at its time, those of one place one after the other; answers how many of each kind
/// came to anything.
async fn strike(ground: &Arc<Ground>, faults: Vec<Fault>, time: Duration) -> BTreeMap<&'static str, usize> {
    let began = Moment::now();
    let mut places: BTreeMap<Place, Arc<Mutex<()>>> = BTreeMap::new();
    let mut striking = Vec::new();
    for fault in faults {
        let place = Arc::clone(places.entry(fault.place.alone()).or_default());
        let ground = Arc::clone(ground);
        striking.push(alongside(async move {
            tokio::time::sleep(fault.at.saturating_sub(Moment::now().since(began))).await;
            let _alone = place.lock().await;
            let since = Moment::now().since(began);
            eprintln!("  {:5.1} s  {} {:?} for {:?}", since.as_secs_f64(), fault.kind.name, fault.place, fault.lasts);
            happen(&fault, &ground).await.then_some(fault.kind.name)
        }));
    }
    let mut counted = BTreeMap::new();
    for fault in striking {
        if let Some(name) = fault.await.unwrap() {
            *counted.entry(name).or_default() += 1;
        }
    }
    tokio::time::sleep(time.saturating_sub(Moment::now().since(began))).await;
    counted
}

/// Waits until every job has ended and nothing waits or is held; the checker says so if that does not come.
async fn settle(ground: &Ground, patience: Duration) -> Duration {
    const UNFINISHED: &str = "SELECT (SELECT count(*) FROM jobs WHERE finished_at IS NULL)
        + (SELECT count(*) FROM dispatches) + (SELECT count(*) FROM leases)
        + (SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL)";
    let began = Moment::now();
    while Moment::now().since(began) < patience && ground.tables.count(UNFINISHED).await != Some(0) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Moment::now().since(began)
}

/// Every accepted job is read once more, through one replica after the other; answers which replicas have no answer.
async fn audit(replicas: &[Replica], ledger: &Arc<Ledger>, patience: Duration) -> BTreeSet<String> {
    let readers = (0..READERS).map(|place| {
        let (replica, ledger) = (replicas[place % replicas.len()].clone(), Arc::clone(ledger));
        alongside(async move {
            for job in ledger.jobs().iter().skip(place).step_by(READERS) {
                let began = Moment::now();
                while let Heard::Nothing(_) | Heard::Other { code: 503, .. } = read_once(&ledger, &replica, job).await {
                    if Moment::now().since(began) > patience {
                        return Some(format!("{} does not answer {patience:?} after all was healed", replica.0));
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            None
        })
    });
    let mut silent = BTreeSet::new();
    for reader in readers.collect::<Vec<_>>() {
        silent.extend(reader.await.unwrap());
    }
    silent
}

/// Asks everybody to stop, at once.
async fn dismiss(ground: &Arc<Ground>) {
    let stopping = ground.crew.names().into_iter().map(|name| {
        let ground = Arc::clone(ground);
        alongside(async move { ground.crew.terminate(&name, Asked::InPeace).await })
    });
    for stopped in stopping.collect::<Vec<_>>() {
        stopped.await.unwrap();
    }
}

async fn left_over(ground: &Ground) -> Vec<String> {
    let mut left = Vec::new();
    for (what, sql) in [
        ("dispatches", "SELECT count(*) FROM dispatches"),
        ("leases", "SELECT count(*) FROM leases"),
        (
            "timers of ended jobs that would start them",
            "SELECT count(*) FROM timers t JOIN jobs j ON j.id = t.job_id
             WHERE t.purpose = 'enqueue' AND j.finished_at IS NOT NULL",
        ),
    ] {
        match ground.tables.count(sql).await {
            Some(0) => {}
            Some(count) => left.push(format!("{count} {what}")),
            None => left.push(format!("the database does not tell how many {what}")),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::super::history::{Ask, JobSeen, Seen};
    use super::*;
    use crate::stage::client::Client;
    use crate::stage::temp::{TempFolder, free_address};

    #[tokio::test]
    async fn a_replica_that_does_not_answer_is_told_of_once() {
        let folder = TempFolder::new("raincheck-audit");
        let ledger = Arc::new(Ledger::open(folder.path()));
        for id in ["a", "b", "c"] {
            let (status, id) = ("queued".to_owned(), id.to_owned());
            let job = JobSeen { id, version: 1, status, done: false, attempt: 0, output: None };
            let ask = Ask::Submit { number: 1, key: None, id: None };
            let (sent, client, replica) = (Moment::now(), "c0".to_owned(), "api-a".to_owned());
            let heard = Heard::Job { code: 202, job, etag: None };
            ledger.note(Seen { sent, got: sent, client, replica, ask, heard });
        }
        // Nobody listens there.
        let replicas = ["api-a", "api-b"].map(|name| (name.to_owned(), Client::unchecked(&free_address())));
        let silent = audit(&replicas, &ledger, Duration::ZERO).await;
        let said = ["api-a", "api-b"].map(|name| format!("{name} does not answer 0ns after all was healed"));
        assert_eq!(silent, said.into());
    }
}
