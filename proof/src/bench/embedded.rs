//! Embedded mode: one process over SQLite.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _};

use super::figures::{Figures, ms, percentile};
use super::load::{self, Connection, closed_loop};
use super::trials::Amount;
use crate::stage::client::Client;
use crate::stage::process::{Raincheck, program};
use crate::stage::temp::{TempFolder, free_address};
use crate::stage::wait::{now, until};

/// Jobs of a transaction of the limit: as many as there are clients.
const BATCH: u32 = 64;

/// Accept, end to end, and the time from a submit to its seen result.
pub async fn embedded(figures: &mut Figures, amount: Amount) {
    let before = inserts_alone(amount.time / 2).await;
    let folder = TempFolder::new("raincheck-bench-embedded");
    let address = free_address();
    let process = Raincheck::run("up", &["up", "--set", &format!("http.listen={address}")], folder.path());
    let client = Client::unchecked(&address);
    until("embedded mode to be ready", Duration::from_secs(30), async || client.is_ready().await).await;
    let request = load::submit("default");
    let jobs = amount.jobs;
    let addresses = [address.clone()];
    let load = closed_loop(&addresses, 64, jobs, Duration::from_mins(5), 202, move |_, to| to.extend(&request)).await;
    // The queue is served in order, so the last one in is about the last one out.
    let mut connection = Connection::open(&address).await;
    let last = load::id_of(connection.ask(&load::submit("default")).await.body);
    let mut done = false;
    while !done {
        let reply = connection.ask(&load::read(&format!("/v1/jobs/{last}?wait=10s"))).await;
        done = std::str::from_utf8(reply.body).unwrap().contains("\"succeeded\"");
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^52")]
    let ended = jobs as f64 / load.began.elapsed().as_secs_f64();
    let limit = f64::midpoint(before, inserts_alone(amount.time / 2).await);
    figures.note("SQLite: what accepts write, 64 jobs in each transaction (the limit)", limit, "/s", "");
    figures.note("embedded: accept", load.rate(), "/s", "≥ 3000");
    figures.note("embedded: accept ÷ limit", load.rate() / limit, "×", "");
    figures.note("embedded: end to end", ended, "/s", "");
    let mut waits = Vec::new();
    for _ in 0..500 {
        let began = now();
        let id = load::id_of(connection.ask(&load::submit("default")).await.body);
        connection.ask(&load::read(&format!("/v1/jobs/{id}?wait=10s"))).await;
        waits.push(began.elapsed());
    }
    figures.note("embedded: POST → result, one after the other, p50", ms(percentile(&waits, 0.5)), "ms", "");
    figures.note("embedded: POST → result, one after the other, p99", ms(percentile(&waits, 0.99)), "ms", "");
    drop(process);
}

/// What SQLite takes without raincheck: the rows of accepted jobs and of their dispatch, on disk when a transaction returns.
/// Jobs a second.
async fn inserts_alone(time: Duration) -> f64 {
    let folder = TempFolder::new("raincheck-bench-sqlite");
    let mut connection = open(&folder.path().join("limit.db")).await;
    let jobs = format!(
        "INSERT INTO jobs (id, kind, queue, priority, status, max_attempts, run_timeout_ms, retention_seconds, dispatch_width, \
         input_type, input)
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {BATCH})
         SELECT unhex(printf('%012x', unixepoch('subsec') * 1000) || hex(randomblob(10))), 'echo', 'default', 5, 'queued', 3, 3600000, 86400, 64,
                'application/json', CAST('\"' || printf('%.*c', 254, 'x') || '\"' AS BLOB) FROM numbers"
    );
    let dispatch = format!(
        "INSERT INTO dispatches (queue, band, kind, jobs, created_at, publish_after)
         VALUES ('default', 5, 'echo', randomblob(16 * {BATCH}), 0, 0)"
    );
    let (began, mut batches) = (now(), 0);
    while began.elapsed() < time {
        for sql in ["BEGIN IMMEDIATE", &jobs, &dispatch, "COMMIT"] {
            connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
        }
        batches += BATCH;
    }
    f64::from(batches) / began.elapsed().as_secs_f64()
}

/// A database with raincheck's tables, that keeps what it is given as raincheck's does.
async fn open(file: &Path) -> SqliteConnection {
    let migrated = Command::new(program())
        .arg("migrate")
        .env("RAINCHECK__STORE__URL", format!("sqlite:{}", file.display()))
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let options = SqliteConnectOptions::new().filename(file).journal_mode(SqliteJournalMode::Wal);
    options.synchronous(SqliteSynchronous::Full).connect().await.unwrap()
}
