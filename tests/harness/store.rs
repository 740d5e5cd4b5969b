//! Stores to test against, each new and empty, and a side door into them.
//!
//! The side door is raw SQL. It ages what is stored, so that no test sleeps, and reads what no role of the store shows.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{self, Arc};
use std::time::{Duration, Instant};

use super::temp::TempFolder;
use raincheck_shared::config::Secret;
use raincheck_shared::domain::{JobId, Timestamp, WorkerId};
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};
use raincheck_shared::store::{Store, postgres, sqlite};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Where the Postgres server for tests is.
pub(crate) const POSTGRES_URL: &str = "RAINCHECK_TEST_POSTGRES_URL";

/// An opened, migrated, empty store.
pub(crate) struct StoreFixture {
    pub(crate) store: Store,
    side_door: SideDoor,
}

enum SideDoor {
    Sqlite { connection: Mutex<SqliteConnection>, folder: TempFolder, clock: Arc<AgingClock> },
    Postgres { connection: Mutex<PgConnection>, server: Box<PgConnectOptions>, database: String },
}

/// The machine's clock, of which time that is only measured may pass faster.
#[derive(Debug, Default)]
struct AgingClock(sync::Mutex<Duration>);

impl Clock for AgingClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic() + *self.0.lock().expect("nobody panics")
    }
}

impl StoreFixture {
    /// A new SQLite file in a folder of its own.
    pub(crate) async fn sqlite() -> Self {
        let folder = TempFolder::new("raincheck-store");
        let path = folder.0.join("store").join("raincheck.sqlite");
        let clock = Arc::<AgingClock>::default();
        let store = sqlite::open(&path, clock.clone()).await.expect("open a new SQLite store");
        store.schema.migrate().await.expect("migrate a new SQLite store");
        let options = SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::from_secs(10));
        let connection = Mutex::new(options.connect().await.expect("open the file by the side door"));
        Self { store, side_door: SideDoor::Sqlite { connection, folder, clock } }
    }

    /// A new database on the test server.
    pub(crate) async fn postgres() -> Self {
        let Ok(url) = std::env::var(POSTGRES_URL) else {
            panic!("{POSTGRES_URL} is not set: run scripts/test, which starts a server for the tests");
        };
        Self::postgres_on(&url).await
    }

    /// A new database on a server of the test's own.
    pub(crate) async fn postgres_on(url: &str) -> Self {
        let server = Box::new(PgConnectOptions::from_str(url).expect("a Postgres URL"));
        let database = format!("raincheck_test_{}", IdSource.random().simple());
        let mut admin = server.connect().await.expect("connect to the test server");
        run_pg(&mut admin, format!("CREATE DATABASE {database}")).await;
        admin.close().await.expect("leave the test server");

        let options = PgConnectOptions::clone(&server).database(&database);
        let url = Secret::new(options.to_url_lossy().to_string());
        let store = postgres::open(&url, 8, Duration::from_secs(20)).expect("open a new Postgres store");
        store.schema.migrate().await.expect("migrate a new Postgres store");
        let connection = Mutex::new(options.connect().await.expect("open the database by the side door"));
        Self { store, side_door: SideDoor::Postgres { connection, server, database } }
    }

    /// The file of an SQLite store.
    pub(crate) fn sqlite_path(&self) -> Option<PathBuf> {
        match &self.side_door {
            SideDoor::Sqlite { folder, .. } => Some(folder.0.join("store").join("raincheck.sqlite")),
            SideDoor::Postgres { .. } => None,
        }
    }

    /// Where the database of a Postgres store is, for a client of this name.
    pub(crate) fn postgres_url(&self, client: &str) -> Option<Secret> {
        match &self.side_door {
            SideDoor::Sqlite { .. } => None,
            SideDoor::Postgres { server, database, .. } => {
                let options = PgConnectOptions::clone(server).database(database);
                let mut url = options.to_url_lossy();
                url.query_pairs_mut().append_pair("application_name", client);
                Some(Secret::new(url.to_string()))
            }
        }
    }

    /// Closes the store and removes it. Not called when a test fails: what it left can be looked at.
    pub(crate) async fn close(self) {
        self.store.schema.close().await;
        match self.side_door {
            SideDoor::Sqlite { connection, .. } => {
                connection.into_inner().close().await.expect("leave the file");
            }
            SideDoor::Postgres { connection, server, database } => {
                connection.into_inner().close().await.expect("leave the database");
                let mut admin = server.connect().await.expect("connect to the test server");
                run_pg(&mut admin, format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await;
            }
        }
    }

    /// Lets everything that is stored be older by so much, as if the time had passed.
    pub(crate) async fn age(&self, by: Duration) {
        const TIMES: [(&str, &[&str]); 9] = [
            ("batches", &["finished_at", "expires_at"]),
            ("parked_jobs", &["parked_at"]),
            ("permits", &["given_at", "spent_at"]),
            ("erasures", &["look_at"]),
            ("timers", &["due_at"]),
            ("dispatches", &["created_at", "publish_after", "published_at"]),
            ("deliveries", &["created_at", "next_at"]),
            ("workers", &["started_at", "heartbeat_at", "run_until"]),
            (
                "jobs",
                &[
                    "run_at",
                    "next_attempt_at",
                    "started_at",
                    "finished_at",
                    "expires_at",
                    "deadline",
                    "cancel_requested_at",
                    "cancel_acknowledged_at",
                ],
            ),
        ];
        if let SideDoor::Sqlite { clock, .. } = &self.side_door {
            *clock.0.lock().expect("nobody panics") += by;
        }
        for (table, columns) in TIMES {
            let by = match &self.side_door {
                SideDoor::Sqlite { .. } => by.as_micros().to_string(),
                SideDoor::Postgres { .. } => format!("interval '{} milliseconds'", by.as_millis()),
            };
            let sets: Vec<String> = columns.iter().map(|column| format!("{column} = {column} - {by}")).collect();
            self.run(format!("UPDATE {table} SET {}", sets.join(", "))).await;
        }
    }

    /// How the store would go about a statement, once it has looked at its tables: a line for each step.
    pub(crate) async fn plan(&self, sql: &str) -> Vec<String> {
        match &self.side_door {
            SideDoor::Sqlite { connection, .. } => {
                let mut connection = connection.lock().await;
                let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                let rows = sqlx::query(explain).fetch_all(&mut *connection).await.expect("explain");
                rows.iter().map(|row| row.get("detail")).collect()
            }
            SideDoor::Postgres { connection, .. } => {
                let mut connection = connection.lock().await;
                sqlx::query("ANALYZE dispatches").execute(&mut *connection).await.expect("analyze");
                let explain = AssertSqlSafe(format!("EXPLAIN {sql}"));
                let rows = sqlx::query(explain).fetch_all(&mut *connection).await.expect("explain");
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Rows of a table.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.number(format!("SELECT count(*) FROM {table}")).await
    }

    /// Timers of a job.
    pub(crate) async fn timers_of(&self, job: JobId) -> i64 {
        self.number(format!("SELECT count(*) FROM timers WHERE job_id = {}", self.uuid(job.as_uuid()))).await
    }

    /// How often workers died under a job.
    pub(crate) async fn crashes_of(&self, job: JobId) -> i64 {
        let id = self.uuid(job.as_uuid());
        self.number(format!("SELECT CAST(crashes AS bigint) FROM jobs WHERE id = {id}")).await
    }

    /// Gives a job a timer that is due, whether or not it should have one.
    pub(crate) async fn plant_timer(&self, job: JobId, purpose: &str, worker: Option<WorkerId>) {
        let id = self.uuid(job.as_uuid());
        let worker = worker.map_or_else(|| "NULL".to_owned(), |worker| self.uuid(worker.as_uuid()));
        self.run(format!("DELETE FROM timers WHERE job_id = {id} AND purpose = '{purpose}'")).await;
        let due = match &self.side_door {
            SideDoor::Sqlite { .. } => "0",
            SideDoor::Postgres { .. } => "now() - interval '1 hour'",
        };
        self.run(format!(
            "INSERT INTO timers (job_id, purpose, due_at, worker) VALUES ({id}, '{purpose}', {due}, {worker})"
        ))
        .await;
    }

    /// Lets a job have a deadline that has passed.
    pub(crate) async fn pass_deadline(&self, job: JobId) {
        let past = match &self.side_door {
            SideDoor::Sqlite { .. } => "0",
            SideDoor::Postgres { .. } => "now() - interval '1 hour'",
        };
        self.run(format!("UPDATE jobs SET deadline = {past} WHERE id = {}", self.uuid(job.as_uuid()))).await;
    }

    /// Records a claim of one job by a worker, whether or not it made one.
    pub(crate) async fn plant_lease(&self, worker: WorkerId, job: JobId) {
        let (lease, worker, id) = (self.uuid(IdSource.random()), self.uuid(worker.as_uuid()), self.uuid(job.as_uuid()));
        let jobs = match &self.side_door {
            SideDoor::Sqlite { .. } => id,
            SideDoor::Postgres { .. } => format!("ARRAY[{id}]"),
        };
        self.run(format!("INSERT INTO leases (id, worker, jobs) VALUES ({lease}, {worker}, {jobs})")).await;
    }

    fn uuid(&self, uuid: Uuid) -> String {
        match &self.side_door {
            SideDoor::Sqlite { .. } => format!("x'{}'", uuid.simple()),
            SideDoor::Postgres { .. } => format!("'{uuid}'::uuid"),
        }
    }

    /// Runs statements by the side door, in one session.
    pub(crate) async fn run(&self, sql: String) {
        match &self.side_door {
            SideDoor::Sqlite { connection, .. } => {
                let mut connection = connection.lock().await;
                let query = sqlx::raw_sql(AssertSqlSafe(sql));
                query.execute(&mut *connection).await.expect("a statement by the side door");
            }
            SideDoor::Postgres { connection, .. } => run_pg(&mut *connection.lock().await, sql).await,
        }
    }

    /// Asks for a number by the side door.
    pub(crate) async fn number(&self, sql: String) -> i64 {
        match &self.side_door {
            SideDoor::Sqlite { connection, .. } => {
                let mut connection = connection.lock().await;
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await
            }
            SideDoor::Postgres { connection, .. } => {
                let mut connection = connection.lock().await;
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await
            }
        }
        .expect("a number by the side door")
    }
}

async fn run_pg(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("a statement on the test server");
}
