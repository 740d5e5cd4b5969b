//! Several raincheck processes over one database and one broker, configured as a user would: one file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use super::client::Client;
use super::process::{Raincheck, program};
use super::services::{PrivateServer, Server};
use super::temp::{TempFolder, free_address};
use super::wait::{unique, until};

/// Where a cluster keeps jobs and sends messages.
#[derive(Debug)]
pub struct Backends {
    /// The URL of a database.
    pub postgres: String,
    /// The URL of a RabbitMQ.
    pub rabbitmq: String,
}

/// A database of its own on the PostgreSQL of the whole test run, and the RabbitMQ of that run under a prefix of its own.
pub async fn shared_backends() -> Backends {
    let server = required("RAINCHECK_TEST_POSTGRES_URL");
    let rabbitmq = required("RAINCHECK_TEST_AMQP_URL");
    Backends { postgres: new_database(&server).await, rabbitmq }
}

/// The value of a variable that `scripts/test` sets. Without it the test fails: a suite that was skipped must not look
/// green.
pub fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run the tests through scripts/test"))
}

/// Makes a database on a server; answers its URL.
pub async fn new_database(server: &str) -> String {
    let name = format!("raincheck_{}", unique());
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let (base, _) = base.rsplit_once('/').unwrap();
    format!("{base}/{name}{}{query}", if query.is_empty() { "" } else { "?" })
}

/// The processes, and what they share. Everything is killed and removed when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    processes: HashMap<String, Raincheck>,
    addresses: HashMap<String, String>,
    /// The URL of its database.
    pub postgres_url: String,
    folder: TempFolder,
}

/// What a test wants to be different from the defaults: TOML added to the configuration file.
pub const FAST_LEASES: &str = "[worker]\nlease = \"3s\"\nheartbeat = \"500ms\"\nconcurrency = 256\n";

impl Cluster {
    /// A configured, migrated, empty cluster. `settings`: TOML sections besides `[http]`, `[store]` and `[broker]`.
    pub fn new(backends: &Backends, settings: &str) -> Self {
        let folder = TempFolder::new("raincheck-test");
        let prefix = unique();
        let Backends { postgres, rabbitmq } = backends;
        let configuration = format!(
            "[store]\nurl = \"{postgres}\"\n[broker]\nurl = \"{rabbitmq}\"\nprefix = \"{prefix}\"\nmax_backoff = \"1s\"\n{settings}\n"
        );
        std::fs::write(folder.0.join("raincheck.toml"), configuration).unwrap();
        let status = std::process::Command::new(program()).arg("migrate").current_dir(&folder.0).output().unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        Self { processes: HashMap::new(), addresses: HashMap::new(), postgres_url: postgres.clone(), folder }
    }

    /// A path in the folder that all processes run in.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Starts an API, or starts it again at the same address, and waits until it is ready.
    pub async fn api(&mut self, name: &str) -> Client {
        self.api_with(name, &[]).await
    }

    /// The same with more arguments.
    pub async fn api_with(&mut self, name: &str, more: &[&str]) -> Client {
        let client = self.api_unready_with(name, more);
        until("the API to be ready", Duration::from_secs(30), async || client.is_ready().await).await;
        client
    }

    /// An API that is not waited for.
    pub fn api_unready(&mut self, name: &str) -> Client {
        self.api_unready_with(name, &[])
    }

    fn api_unready_with(&mut self, name: &str, more: &[&str]) -> Client {
        let address = self.addresses.entry(name.to_owned()).or_insert_with(free_address).clone();
        let listen = format!("http.listen={address}");
        self.run(name, &[&["api", "--set", listen.as_str()], more].concat());
        Client::new(&address)
    }

    /// Starts a worker.
    pub fn worker(&mut self, name: &str) {
        self.run(name, &["worker", "--name", name, "--log", "info,raincheck_worker=debug"]);
    }

    /// Runs `raincheck ARGUMENTS` under a name, in place of the process of that name.
    pub fn run(&mut self, name: &str, arguments: &[&str]) {
        // The one before it must be gone first: they share a log and perhaps a port.
        self.processes.remove(name);
        self.processes.insert(name.to_owned(), Raincheck::run(name, arguments, &self.folder.0));
    }

    /// A process by name.
    pub fn process(&mut self, name: &str) -> &mut Raincheck {
        self.processes.get_mut(name).unwrap()
    }

    /// Asks the database itself; one number.
    pub async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = PgConnection::connect(&self.postgres_url).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    /// The same of one job.
    pub async fn count_of(&self, sql: &'static str, id: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.postgres_url).await.unwrap();
        sqlx::query_scalar(sql).bind(id).fetch_one(&mut connection).await.unwrap()
    }

    /// Waits until that number is reached or passed; answers how long it took.
    pub async fn until_count(&self, sql: &'static str, at_least: i64, patience: Duration) -> Duration {
        let mut connection = PgConnection::connect(&self.postgres_url).await.unwrap();
        until(sql, patience, async || {
            sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.unwrap() >= at_least
        })
        .await
    }

    /// What is left behind that should not be, once every job has ended: nothing waits, nothing is held.
    pub async fn assert_nothing_is_left(&self) {
        self.until_count("SELECT -count(*) FROM dispatches", 0, Duration::from_secs(20)).await;
        self.until_count("SELECT -count(*) FROM leases", 0, Duration::from_secs(20)).await;
    }
}

/// A private PostgreSQL and RabbitMQ that may be killed, in a folder of their own.
#[derive(Debug)]
pub struct PrivateBackends {
    /// The database server.
    pub postgres: PrivateServer,
    /// The broker.
    pub rabbitmq: PrivateServer,
    /// More nodes of the broker's cluster.
    pub nodes: Vec<PrivateServer>,
    folder: TempFolder,
}

impl PrivateBackends {
    /// Starts both; it takes a few seconds.
    pub fn start() -> Self {
        let folder = TempFolder::new("raincheck-services");
        let postgres = PrivateServer::start(Server::Postgres, &folder.0);
        let rabbitmq = PrivateServer::start(Server::Rabbitmq, &folder.0);
        Self { postgres, rabbitmq, nodes: Vec::new(), folder }
    }

    /// Lets so many more nodes join the broker's cluster.
    pub fn grow(&mut self, nodes: usize) {
        let grown = (0..nodes).map(|n| self.rabbitmq.joined(&format!("node-{n}"), &self.folder.0));
        self.nodes = grown.collect();
    }

    /// The same with PostgreSQL's data in a folder `data` under `disk`.
    pub fn start_on(disk: &Path) -> Self {
        let folder = TempFolder::new("raincheck-services");
        // The script finds the place taken, and uses it.
        let home = folder.0.join("postgres/postgres");
        std::fs::create_dir_all(&home).unwrap();
        std::os::unix::fs::symlink(disk.join("data"), home.join("data")).unwrap();
        let postgres = PrivateServer::start(Server::Postgres, &folder.0);
        let rabbitmq = PrivateServer::start(Server::Rabbitmq, &folder.0);
        Self { postgres, rabbitmq, nodes: Vec::new(), folder }
    }

    /// A new database there, and the broker.
    pub async fn backends(&self) -> Backends {
        Backends { postgres: new_database(&self.postgres.url).await, rabbitmq: self.rabbitmq.url.clone() }
    }
}

/// An object with one field.
pub fn seconds(seconds: f64) -> Value {
    serde_json::json!({ "seconds": seconds })
}
