//! What raincheck takes when little happens: memory, and statements.

use std::time::Duration;

use super::figures::Figures;
use super::load::{self, Connection};
use super::rig::Rig;
use super::trials::count;
use crate::stage::process::Raincheck;
use crate::stage::wait::alongside;

/// How long statements are counted.
const IDLE: Duration = Duration::from_mins(1);
/// Held polls at once.
const POLLS: usize = 10_000;
/// Open streams of events at once.
const STREAMS: usize = 10_000;
/// The jobs that polls and streams are of.
const WAITING: usize = 1_000;
/// Jobs that a worker runs at once.
const SLEEPS: usize = 1_000;

/// Memory of an API and a worker that were just started, of an API with many held polls, of a worker with many running
/// jobs; statements and commits a second of all of them while nothing happens.
pub async fn footprint(rig: &mut Rig, figures: &mut Figures) {
    rig.all_done().await;
    let api = rig.cluster.api("api").await;
    api.address().clone_into(&mut rig.address);
    figures.note("memory: API, idle", memory(rig.cluster.process("api"), "VmRSS:"), "MiB", "≤ 30");

    let commits = "SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()";
    // Sessions that idle tell what they did up to ten seconds later.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let before = rig.number(commits).await;
    rig.log_statements(true).await;
    let statements_before = rig.logged_statements();
    tokio::time::sleep(IDLE).await;
    let statements = rig.logged_statements() - statements_before;
    rig.log_statements(false).await;
    let each_second = |count: f64| count / IDLE.as_secs_f64();
    figures.note("statements while idle, one API and one worker", each_second(count(statements)), "/s", "≤ 5");
    let commits = rig.number(commits).await - before;
    figures.note("commits while idle, the server's own among them", each_second(commits), "/s", "");

    let mut connection = Connection::open(&rig.address).await;
    let ids = waiting_jobs(&mut connection).await;
    let mut polls = Vec::with_capacity(POLLS);
    for n in 0..POLLS {
        let mut connection = Connection::open(&rig.address).await;
        let request = load::read(&format!("/v1/jobs/{}?wait=40s", ids[n % ids.len()]));
        polls.push(alongside(async move { connection.ask(&request).await.status }));
    }
    // All have been written to their sockets; one more answer means that the server has read what came before.
    tokio::time::sleep(Duration::from_secs(3)).await;
    figures.note("memory: API, 10,000 held polls", memory(rig.cluster.process("api"), "VmRSS:"), "MiB", "≤ 250");
    for poll in polls {
        assert_eq!(poll.await.unwrap(), 200);
    }

    let streams = streams(rig, figures).await;
    drop(streams);

    let mut connection = Connection::open(&rig.address).await;
    for _ in 0..SLEEPS {
        let body = "{\"seconds\": 15}";
        let request = format!(
            "POST /v1/kinds/sleep/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(connection.ask(request.as_bytes()).await.status, 202);
    }
    let running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'";
    rig.cluster.until_count(running, i64::try_from(SLEEPS).unwrap(), Duration::from_secs(14)).await;
    figures.note("memory: worker, 1,000 running jobs", memory(rig.cluster.process("worker"), "VmRSS:"), "MiB", "≤ 100");
    rig.all_done().await;
}

/// Jobs that nobody runs.
async fn waiting_jobs(connection: &mut Connection) -> Vec<String> {
    let mut ids = Vec::with_capacity(WAITING);
    for _ in 0..WAITING {
        ids.push(load::id_of(connection.ask(&load::submit("later")).await.body));
    }
    ids
}

/// Memory of an API, started anew, with many open streams of events that have each said how things stand.
async fn streams(rig: &mut Rig, figures: &mut Figures) -> Vec<Connection> {
    let api = rig.cluster.api("api").await;
    api.address().clone_into(&mut rig.address);
    let mut connection = Connection::open(&rig.address).await;
    let ids = waiting_jobs(&mut connection).await;
    let mut streams = Vec::with_capacity(STREAMS);
    for n in 0..STREAMS {
        let mut stream = Connection::open(&rig.address).await;
        let head = stream.ask(&load::read(&format!("/v1/jobs/{}/events", ids[n % ids.len()]))).await;
        assert_eq!(head.status, 200);
        stream.until("event: snapshot").await;
        streams.push(stream);
    }
    figures.note(
        "memory: API, 10,000 open event streams",
        memory(rig.cluster.process("api"), "VmRSS:"),
        "MiB",
        "< 300",
    );
    streams
}

/// Memory of a process in MiB. `which`: `VmRSS:` is what it holds, `VmHWM:` the most that it ever held.
pub(super) fn memory(process: &Raincheck, which: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
