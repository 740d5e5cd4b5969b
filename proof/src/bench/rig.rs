//! What is measured: raincheck over private servers, all on this machine.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::cpu;
use super::limits::Limits;
use super::load::{self, Load, closed_loop};
use crate::stage::client::Client;
use crate::stage::cluster::{Cluster, PrivateBackends, new_database};
use crate::stage::wait::until;

/// Servers, one API, one worker for the queue `default`.
pub struct Rig {
    /// raincheck's processes: `api` and `worker`.
    pub cluster: Cluster,
    /// What the same servers can do without raincheck.
    pub limits: Limits,
    /// Where the API listens.
    pub address: String,
    side_door: PgConnection,
    /// Idempotency keys used so far.
    keys: usize,
    // after the cluster: dropped last
    private: PrivateBackends,
}

/// Settings of a worker that are not the defaults: no-op jobs want more slots than work does.
const SETTINGS: &str = "[worker]\nconcurrency = 1024\n[kinds.echo]\nbuiltin = \"echo\"\nconcurrency = 512\n\
    [kinds.sleep]\nbuiltin = \"sleep\"\nconcurrency = 1000\n[kinds.later]\nbuiltin = \"echo\"\nqueue = \"later\"\n\
    [kinds.nap]\nbuiltin = \"sleep\"\nqueue = \"naps\"\nconcurrency = 8\n\
    [kinds.cat]\ncommand = [\"cat\"]\noutput_type = \"application/octet-stream\"\n";

impl Rig {
    /// Starts everything.
    pub async fn start() -> Self {
        let private = PrivateBackends::start();
        let backends = private.backends().await;
        let limits = Limits::prepare(&new_database(&private.postgres.url).await, &private.rabbitmq.url).await;
        let mut cluster = Cluster::new(&backends, SETTINGS);
        let api = Client::unchecked(cluster.api("api").await.address());
        cluster.run("worker", &["worker", "--name", "worker", "--queue", "default"]);
        let side_door = PgConnection::connect(&backends.postgres).await.unwrap();
        let rig = Self { cluster, limits, address: api.address().to_owned(), side_door, keys: 0, private };
        // Warm connections, caches and plans.
        rig.submit(2_000, "default").await;
        rig
    }

    /// Sends that many no-op jobs from 64 clients, as fast as they are accepted.
    pub async fn submit(&self, jobs: usize, queue: &str) -> Load {
        let request = load::submit(queue);
        let longest = Duration::from_mins(10);
        closed_loop(std::slice::from_ref(&self.address), 64, jobs, longest, 202, move |_, to| to.extend(&request)).await
    }

    /// The same with a key each, which no job of this rig has had before.
    pub async fn submit_with_keys(&mut self, jobs: usize) -> Load {
        let (first, longest) = (self.keys, Duration::from_mins(10));
        self.keys += jobs;
        let make = move |n: usize, to: &mut Vec<u8>| to.extend(load::submit_with_key("default", first + n));
        closed_loop(std::slice::from_ref(&self.address), 64, jobs, longest, 202, make).await
    }

    /// Waits until nothing waits or runs, not counting the queue `later`.
    pub async fn all_done(&mut self) {
        let sql =
            "SELECT NOT EXISTS (SELECT FROM dispatches WHERE queue <> 'later') AND NOT EXISTS (SELECT FROM leases)";
        let connection = &mut self.side_door;
        until("all jobs to end", Duration::from_mins(10), async || {
            sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut *connection).await.unwrap()
        })
        .await;
    }

    /// Seconds of processor time used so far, by whom.
    pub fn processor_time(&mut self) -> [(&'static str, f64); 5] {
        [
            ("API", cpu::seconds_of(self.cluster.process("api").pid())),
            ("worker", cpu::seconds_of(self.cluster.process("worker").pid())),
            ("PostgreSQL", cpu::seconds_of(self.private.postgres.pid())),
            ("RabbitMQ", cpu::seconds_of(self.private.rabbitmq.pid())),
            ("the clients", cpu::seconds_of_this_one()),
        ]
    }

    /// Asks the database for one number.
    pub async fn number(&mut self, sql: &'static str) -> f64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.side_door).await.unwrap()
    }

    /// Changes the database.
    pub async fn execute(&mut self, sql: String) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut self.side_door).await.unwrap();
    }

    /// Has PostgreSQL write every statement to its log, or no longer.
    pub async fn log_statements(&mut self, all: bool) {
        let which = if all { "all" } else { "none" };
        self.execute(format!("ALTER SYSTEM SET log_statement = '{which}'")).await;
        self.execute("SELECT pg_reload_conf()".to_owned()).await;
        // Each session hears of it between two of its statements.
        until("the setting to be known", Duration::from_secs(10), async || {
            let sql = "SELECT (current_setting('log_statement') = 'all')::int::float8";
            (self.number(sql).await > 0.5) == all
        })
        .await;
    }

    /// How many statements are in its log.
    pub fn logged_statements(&self) -> usize {
        let log = std::fs::read_to_string(self.private.postgres.log()).unwrap();
        log.lines().filter(|line| line.contains("LOG:  execute ") || line.contains("LOG:  statement: ")).count()
    }

    /// Another session on the same database.
    pub async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.cluster.postgres_url).await.unwrap()
    }
}
