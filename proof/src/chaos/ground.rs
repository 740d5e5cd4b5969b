//! Where a trial takes place: servers that may be broken, a database of its own, processes behind proxies of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::crew::{Crew, Post};
use super::load::Replica;
use super::moment::Moment;
use super::proxy::Proxy;
use super::tables::Tables;
use super::worker::KIND;
use crate::stage::client::Client;
use crate::stage::cluster::{PrivateBackends, new_database};
use crate::stage::process::program;
use crate::stage::services::Server;
use crate::stage::temp::{TempFolder, free_address};
use crate::stage::wait::{alongside, unique, until};

/// Replicas of the API.
pub const APIS: [&str; 2] = ["api-a", "api-b"];
/// Workers that run the journaled kind.
pub const WORKERS: [&str; 3] = ["w1", "w2", "w3"];
/// raincheck's own worker, for a kind that is a command.
pub const SHELL_WORKER: &str = "shell";

/// How long a silent worker is believed to live.
pub const LEASE: Duration = Duration::from_secs(3);
/// Between two signs of life.
pub const HEARTBEAT: Duration = Duration::from_millis(500);

const SETTINGS: &str = r#"
[http]
drain_timeout = "5s"
[worker]
lease = "3s"
heartbeat = "500ms"
concurrency = 48
drain_timeout = "3s"
[jobs]
cancel_grace = "3s"
max_crashes = 50
[upkeep]
lost_dispatches = "5s"
[kinds.journaled]
handler = true
queue = "journaled"
timeout = "20s"
backoff = "200ms"
max_backoff = "1s"
concurrency = 32
[kinds.shell]
command = ["cat"]
queue = "shell"
timeout = "20s"
backoff = "200ms"
max_backoff = "1s"
"#;

/// The ground of one trial. Processes are killed and files removed when it is dropped.
#[derive(Debug)]
pub struct Ground {
    /// The processes.
    pub crew: Crew,
    /// The servers, shared with the trials before and after.
    pub servers: Arc<PrivateBackends>,
    /// The URL of the trial's own database, past the proxies.
    pub database: String,
    /// The prefix of its queues.
    pub prefix: String,
    /// The replicas of the API.
    pub replicas: Vec<Replica>,
    /// What the tables hold.
    pub tables: Tables,
    proxies: BTreeMap<(&'static str, Server), Proxy>,
    excuses: Mutex<Vec<(Moment, Moment)>>,
    folder: TempFolder,
}

impl Ground {
    /// Starts everything and waits until it can be used. `extra`: what is added to each process's environment.
    pub async fn prepare(servers: Arc<PrivateBackends>, extra: &[(String, String)]) -> Arc<Self> {
        let folder = TempFolder::new("raincheck-chaos");
        let database = new_database(&servers.postgres.url).await;
        let prefix = unique();
        let settings = format!(
            "[store]\nurl = \"{database}\"\ntimeout = \"2s\"\nconnections = 8\n[broker]\nurl = \"{}\"\nprefix = \"{prefix}\"\n\
             max_backoff = \"1s\"\nheartbeat = \"2s\"\nconnect_timeout = \"2s\"\npublish_timeout = \"2s\"\n{SETTINGS}",
            servers.rabbitmq.url
        );
        std::fs::write(folder.path().join("raincheck.toml"), settings).unwrap();
        migrate(folder.path());

        let mut ground = Self {
            crew: Crew::new(folder.path()),
            tables: Tables::at(&database),
            database,
            prefix,
            replicas: Vec::new(),
            proxies: BTreeMap::new(),
            excuses: Mutex::default(),
            folder,
            servers,
        };
        for name in APIS.into_iter().chain(WORKERS).chain([SHELL_WORKER]) {
            let environment = ground.connect(name).await;
            ground.hire(name, [environment, extra.to_vec()].concat());
        }
        let ground = Arc::new(ground);
        ground.until_ready().await;
        ground
    }

    /// Puts proxies between a process and its servers; answers its environment.
    async fn connect(&mut self, name: &'static str) -> Vec<(String, String)> {
        let mut environment = Vec::new();
        for (server, url, variable) in [
            (Server::Postgres, self.database.clone(), "RAINCHECK__STORE__URL"),
            (Server::Rabbitmq, self.servers.rabbitmq.url.clone(), "RAINCHECK__BROKER__URL"),
        ] {
            let address = address_in(&url);
            let proxy = Proxy::start(address.to_owned()).await;
            environment.push((variable.to_owned(), url.replace(address, &proxy.address.to_string())));
            self.proxies.insert((name, server), proxy);
        }
        environment
    }

    fn hire(&mut self, name: &'static str, mut environment: Vec<(String, String)>) {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (program, arguments) = if APIS.contains(&name) {
            let address = free_address();
            self.replicas.push((name.to_owned(), Client::new(&address)));
            let listen = format!("http.listen={address}");
            (program(), text(&["api", "--log", "info,raincheck_api=debug", "--set", &listen]))
        } else if name == SHELL_WORKER {
            (program(), text(&["worker", "--name", name, "--queue", "shell"]))
        } else {
            environment.push(("RAINCHECK__WORKER__NAME".to_owned(), name.to_owned()));
            environment.push(("RAINCHECK__WORKER__QUEUES".to_owned(), KIND.to_owned()));
            (std::env::current_exe().unwrap(), text(&["worker", name]))
        };
        self.crew.hire(name, Post { program, arguments, environment });
    }

    /// Waits until every replica would accept a job.
    pub async fn until_ready(&self) {
        for (name, client) in &self.replicas {
            until(name, Duration::from_mins(1), async || client.is_ready().await).await;
        }
    }

    /// What stands between a process and a server.
    pub fn proxy(&self, process: &str, server: Server) -> &Proxy {
        let (_, proxy) = self.proxies.iter().find(|((name, of), _)| *name == process && *of == server).unwrap();
        proxy
    }

    /// Does something with a server that takes its time.
    pub async fn act(self: &Arc<Self>, server: Server, verb: &'static str) {
        let servers = Arc::clone(&self.servers);
        let act = move || match server {
            Server::Postgres => servers.postgres.act(verb),
            Server::Rabbitmq => servers.rabbitmq.act(verb),
        };
        tokio::task::spawn_blocking(act).await.unwrap();
    }

    /// Runs rabbitmqctl.
    pub async fn ctl(self: &Arc<Self>, arguments: &[&str]) -> String {
        let servers = Arc::clone(&self.servers);
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let ctl = move || servers.rabbitmq.ctl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(ctl).await.unwrap()
    }

    /// Looks after the processes until the answer is aborted.
    pub fn supervise(self: &Arc<Self>) -> JoinHandle<()> {
        let ground = Arc::clone(self);
        alongside(async move { ground.crew.supervise().await })
    }

    /// Notes that messages may be lost or held back from one moment to another.
    pub fn excuse(&self, from: Moment, until: Moment) {
        self.excuses.lock().unwrap_or_else(PoisonError::into_inner).push((from, until));
    }

    /// All such times.
    pub fn excuses(&self) -> Vec<(Moment, Moment)> {
        self.excuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The folder that every process runs in.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder where it is, for people to read.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

fn migrate(folder: &Path) {
    let output = std::process::Command::new(program()).arg("migrate").current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `HOST:PORT` in a URL.
fn address_in(url: &str) -> &str {
    let rest = url.split_once('@').map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
