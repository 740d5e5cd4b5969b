//! One trial: load and faults, then peace, then judgement.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::checker::{Violation, check};
use super::dice::Dice;
use super::faults::{Fault, Kind, Place, happen};
use super::ground::{Ground, HEARTBEAT, House, LEASE};
use super::handler::read_runs;
use super::history::{Heard, History};
use super::ledger::Ledger;
use super::listener::heard;
use super::load::{Load, Office, read_once};
use super::logs;
use super::moment::Moment;
use super::schedule::schedule;
use super::worker::KIND;
use crate::stage::receiver::Receiver;
use crate::stage::wait::alongside;

/// How long jobs may take to end once everything is healed. The longest part of it is what a message that was lost may
/// take to be missed.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Settles everything that is left to chance.
    pub seed: u64,
    /// For how long faults strike.
    pub time: Duration,
    /// How many clients there are.
    pub clients: u64,
    /// Which may.
    pub kinds: Vec<Kind>,
    /// Added to the environment of every process.
    pub environment: Vec<(String, String)>,
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
    /// Faults that struck, by kind.
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
    let ground = if house.is_embedded() {
        Ground::prepare_embedded(house).await
    } else {
        Ground::prepare(house, &trial.environment).await
    };
    let ledger = Arc::new(Ledger::open(ground.path()));
    let supervisor = ground.supervise();
    let webhook = ground.receiver.as_ref().map(Receiver::url);
    let office = Office {
        ledger: Arc::clone(&ledger),
        replicas: Arc::new(ground.replicas.clone()),
        kinds: (KIND, "shell"),
        webhook,
    };
    let load = Load::start(&office, trial.clients, &dice.of_part("load"));
    let faults = schedule(dice.of_part("faults"), trial.time, &trial.kinds);
    let counted = strike(&ground, faults, trial.time).await;
    load.stop().await;

    let settled = settle(&ground).await;
    audit(&ground, &ledger).await;
    let rows = ground.tables.rows().await;
    let deliveries = ground.tables.deliveries().await;
    let keys = ground.tables.keys().await;
    let left = left_over(&ground).await;
    supervisor.abort();
    for name in ground.crew.names() {
        ground.crew.terminate(&name).await;
    }

    let logs = ground.crew.logs();
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
        broken: ground.crew.broken(),
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

/// Lets every fault strike at its time, those of one place one after the other; answers how many of each kind did.
async fn strike(ground: &Arc<Ground>, faults: Vec<Fault>, time: Duration) -> BTreeMap<&'static str, usize> {
    let began = Moment::now();
    let mut places: BTreeMap<Place, Arc<Mutex<()>>> = BTreeMap::new();
    let mut counted = BTreeMap::new();
    let mut striking = Vec::new();
    for fault in faults {
        *counted.entry(fault.kind.name).or_default() += 1;
        let place = Arc::clone(places.entry(fault.place).or_default());
        let ground = Arc::clone(ground);
        striking.push(alongside(async move {
            tokio::time::sleep(fault.at.saturating_sub(Moment::now().since(began))).await;
            let _alone = place.lock().await;
            let since = Moment::now().since(began);
            eprintln!("  {:5.1} s  {} {:?} for {:?}", since.as_secs_f64(), fault.kind.name, fault.place, fault.lasts);
            happen(&fault, &ground).await;
        }));
    }
    for fault in striking {
        fault.await.unwrap();
    }
    tokio::time::sleep(time.saturating_sub(Moment::now().since(began))).await;
    counted
}

/// Waits until every job has ended and nothing waits or is held; the checker says so if that does not come.
async fn settle(ground: &Ground) -> Duration {
    const UNFINISHED: &str = "SELECT (SELECT count(*) FROM jobs WHERE finished_at IS NULL)
        + (SELECT count(*) FROM dispatches) + (SELECT count(*) FROM leases)
        + (SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL)";
    let began = Moment::now();
    while Moment::now().since(began) < PATIENCE && ground.tables.count(UNFINISHED).await != Some(0) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Moment::now().since(began)
}

/// Every accepted job is read once more, through one replica after the other.
async fn audit(ground: &Ground, ledger: &Ledger) {
    for (n, job) in ledger.jobs().iter().enumerate() {
        let replica = &ground.replicas[n % ground.replicas.len()];
        for _ in 0..50 {
            if let Heard::Nothing(_) | Heard::Other { code: 503, .. } = read_once(ledger, replica, job).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            } else {
                break;
            }
        }
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
