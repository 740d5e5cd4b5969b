//! Where a trial takes place: servers that may be broken, a database of its own, processes behind proxies of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::crew::{Crew, Post};
use super::embedded;
use super::history::Excuse;
use super::house::{House, nodes};
use super::lacks::{Lacks, Part};
use super::listener;
use super::load::Replica;
use super::means::Means;
use super::proxy::Proxy;
use super::tables::{Place, Tables};
use super::worker::KIND;
use crate::stage::client::Client;
use crate::stage::cluster::{PrivateBackends, new_database};
use crate::stage::disk::SmallDisk;
use crate::stage::process::program;
use crate::stage::receiver::Receiver;
use crate::stage::services::Server;
use crate::stage::temp::{TempFolder, free_address};
use crate::stage::wait::{alongside, unique, until};

/// Replicas of the API.
pub const APIS: [&str; 2] = ["api-a", "api-b"];
/// Workers that run the journaled kind.
pub const WORKERS: [&str; 3] = ["w1", "w2", "w3"];
/// raincheck's own worker, for a kind that is a command.
pub const SHELL_WORKER: &str = "shell";

/// Those that can be shown a false time.
pub const FALSE_CLOCKS: [&str; 2] = ["api-b", "w3"];

/// What is at the other end of a process's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Far {
    /// The database server.
    Postgres,
    /// The broker.
    Rabbitmq,
    /// Those who submit and read jobs, all of them.
    Clients,
}

/// The one process of embedded mode.
pub const EMBEDDED: &str = "up";

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
blobs = "10s"
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

/// Bodies that are kept apart are small here: so there are many.
const BLOBS: &str = "[blobs]\nin_database = \"64KiB\"\n";

/// The ground of one trial. Processes are killed and files removed when it is dropped.
#[derive(Debug)]
pub struct Ground {
    /// The processes.
    pub crew: Crew,
    /// The servers, shared with the trials before and after.
    servers: Option<Arc<PrivateBackends>>,
    /// The URL of the trial's own database, past the proxies.
    pub database: String,
    /// The prefix of its queues.
    pub prefix: String,
    /// The replicas of the API.
    pub replicas: Vec<Replica>,
    /// What the tables hold.
    pub tables: Tables,
    /// Whom webhooks tell. Nobody where an earlier release takes part that knows of none.
    pub receiver: Option<Receiver>,
    /// What there is to break things with.
    pub means: Means,
    /// The disk of the database server, if it is one that can be filled.
    pub disk: Option<Arc<SmallDisk>>,
    proxies: BTreeMap<(&'static str, Far), Proxy>,
    excuses: Mutex<Vec<Excuse>>,
    folder: TempFolder,
}

impl Ground {
    /// Starts everything and waits until it can be used. `extra`: what is added to each process's environment; `lacks`: what
    /// is left alone.
    pub async fn prepare(house: &House, extra: &[(String, String)], lacks: &Lacks) -> Arc<Self> {
        let servers = Arc::clone(house.servers.as_ref().unwrap());
        let folder = TempFolder::new("raincheck-chaos");
        let database = new_database(&servers.postgres.url).await;
        let prefix = unique();
        let settings = format!(
            "[store]\nurl = \"{database}\"\ntimeout = \"2s\"\nconnections = 8\n[broker]\nurl = \"{}\"\nprefix = \"{prefix}\"\n\
             max_backoff = \"1s\"\nheartbeat = \"2s\"\nconnect_timeout = \"2s\"\npublish_timeout = \"2s\"\n{SETTINGS}",
            servers.rabbitmq.url
        );
        let receiver = if lacks.includes(Part::Webhooks) { None } else { Some(Receiver::answering(200).await) };
        let webhooks = receiver.as_ref().map(|_| listener::settings()).unwrap_or_default();
        let newer = if lacks.includes(Part::Blobs) { webhooks } else { webhooks + BLOBS };
        std::fs::write(folder.path().join("raincheck.toml"), settings + &newer).unwrap();
        migrate(folder.path());

        let mut ground = Self {
            crew: Crew::new(folder.path()),
            tables: Tables::new(Place::Postgres(database.clone()), folder.path()),
            database,
            prefix,
            replicas: Vec::new(),
            proxies: BTreeMap::new(),
            excuses: Mutex::default(),
            folder,
            servers: Some(servers),
            receiver,
            means: house.means.clone(),
            disk: house.disk.clone(),
        };
        for name in APIS.into_iter().chain(WORKERS).chain([SHELL_WORKER]) {
            let mut environment = ground.connect(name).await;
            environment.extend_from_slice(extra);
            environment.push(("RAINCHECK_FAILPOINTS".to_owned(), failpoints_of(name)));
            if FALSE_CLOCKS.contains(&name) {
                show_time(&ground.path().join(clock_of(name)), "+0");
                environment.extend(ground.means.false_clock(&clock_of(name)));
            }
            ground.hire(name, environment).await;
        }
        let ground = Arc::new(ground);
        ground.until_ready().await;
        ground
    }

    /// The same in one process over SQLite, on a disk that can be filled if there is one to be had.
    pub async fn prepare_embedded(house: &House) -> Arc<Self> {
        let folder = TempFolder::new("raincheck-chaos");
        let disk = house.means.small_disk.then(|| SmallDisk::mount(EMBEDDED_DISK)).and_then(Result::ok).map(Arc::new);
        let file = disk.as_ref().map_or(folder.path(), |disk| disk.path()).join("raincheck.db");
        let (address, database) = (free_address(), format!("sqlite:{}", file.display()));
        let settings = format!("[store]\nurl = \"{database}\"\n{}{}{BLOBS}", embedded::SETTINGS, listener::settings());
        std::fs::write(folder.path().join("raincheck.toml"), settings).unwrap();
        std::fs::write(folder.path().join("run.sh"), embedded::SCRIPT).unwrap();
        let ground = Arc::new(Self {
            crew: Crew::new(folder.path()),
            tables: Tables::new(Place::Sqlite(file), folder.path()),
            database,
            prefix: String::new(),
            replicas: vec![(EMBEDDED.to_owned(), Client::unchecked(&address))],
            proxies: BTreeMap::new(),
            excuses: Mutex::default(),
            folder,
            servers: None,
            receiver: Some(Receiver::answering(200).await),
            means: house.means.clone(),
            disk,
        });
        let arguments = ["up", "--log", "info,raincheck_worker=debug", "--set", &format!("http.listen={address}")];
        let post = Post {
            program: program(),
            arguments: arguments.map(ToOwned::to_owned).into(),
            environment: vec![("RAINCHECK_FAILPOINTS".to_owned(), failpoints_of(EMBEDDED))],
        };
        ground.crew.hire(EMBEDDED, post);
        ground.until_ready().await;
        ground
    }

    fn servers(&self) -> &Arc<PrivateBackends> {
        self.servers.as_ref().unwrap()
    }

    /// Puts proxies between a process and its servers; answers its environment.
    async fn connect(&mut self, name: &'static str) -> Vec<(String, String)> {
        let mut environment = Vec::new();
        // One after the other of the broker's nodes.
        let nodes = nodes(self.servers());
        let before = self.proxies.keys().filter(|(_, far)| *far == Far::Rabbitmq).count();
        let node = nodes[before % nodes.len()].url.clone();
        for (server, url, variable) in [
            (Far::Postgres, self.database.clone(), "RAINCHECK__STORE__URL"),
            (Far::Rabbitmq, node, "RAINCHECK__BROKER__URL"),
        ] {
            let address = address_in(&url);
            let proxy = Proxy::start(address.to_owned()).await;
            environment.push((variable.to_owned(), url.replace(address, &proxy.address.to_string())));
            self.proxies.insert((name, server), proxy);
        }
        environment
    }

    async fn hire(&mut self, name: &'static str, mut environment: Vec<(String, String)>) {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (program, arguments) = if APIS.contains(&name) {
            let address = free_address();
            // Clients come through a proxy too.
            let proxy = Proxy::start(address.clone()).await;
            self.replicas.push((name.to_owned(), Client::unchecked(&proxy.address.to_string())));
            self.proxies.insert((name, Far::Clients), proxy);
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

    /// What stands between a process and what is at the far end.
    pub fn proxy(&self, process: &'static str, far: Far) -> &Proxy {
        &self.proxies[&(process, far)]
    }

    /// Does something with a server that takes its time.
    pub async fn act(self: &Arc<Self>, server: Server, verb: &'static str) {
        let servers = Arc::clone(self.servers());
        let act = move || match server {
            Server::Postgres => servers.postgres.act(verb),
            Server::Rabbitmq => servers.rabbitmq.act(verb),
            Server::S3 => unreachable!("the blobs of a round are files"),
        };
        tokio::task::spawn_blocking(act).await.unwrap();
    }

    /// The same with one of the nodes of the broker's cluster.
    pub async fn act_on_node(self: &Arc<Self>, node: usize, verb: &'static str) {
        let servers = Arc::clone(self.servers());
        tokio::task::spawn_blocking(move || nodes(&servers)[node].act(verb)).await.unwrap();
    }

    /// Runs rabbitmqctl, of a cluster against the first node that does it. `None`: none did.
    pub async fn ctl(self: &Arc<Self>, arguments: &[&str]) -> Option<String> {
        let servers = Arc::clone(self.servers());
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let ctl = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            nodes(&servers).into_iter().find_map(|node| node.try_ctl(&arguments))
        };
        tokio::task::spawn_blocking(ctl).await.unwrap()
    }

    /// The same against one of the nodes.
    pub async fn ctl_of_node(self: &Arc<Self>, node: usize, arguments: &[&'static str]) -> Option<String> {
        let (servers, arguments) = (Arc::clone(self.servers()), arguments.to_vec());
        tokio::task::spawn_blocking(move || nodes(&servers)[node].try_ctl(&arguments)).await.unwrap()
    }

    /// Looks after the processes until the answer is aborted.
    pub fn supervise(self: &Arc<Self>) -> JoinHandle<()> {
        let ground = Arc::clone(self);
        alongside(async move { ground.crew.supervise().await })
    }

    /// Notes that messages may be lost or held back.
    pub fn excuse(&self, excuse: Excuse) {
        self.excuses.lock().unwrap_or_else(PoisonError::into_inner).push(excuse);
    }

    /// All such times.
    pub fn excuses(&self) -> Vec<Excuse> {
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

/// The file that steers the failpoints of a process.
pub fn failpoints_of(name: &str) -> String {
    format!("failpoints-{name}")
}

/// The file that says what a process is shown as the time.
pub fn clock_of(name: &str) -> String {
    format!("clock-{name}")
}

/// Puts an offset into such a file, whole: a process may read it at any moment.
pub fn show_time(file: &Path, offset: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, format!("{offset}\n")).unwrap();
    std::fs::rename(&draft, file).unwrap();
}

/// Megabytes of SQLite's disk.
const EMBEDDED_DISK: u32 = 200;

fn migrate(folder: &Path) {
    let output = std::process::Command::new(program()).arg("migrate").current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `HOST:PORT` in a URL.
fn address_in(url: &str) -> &str {
    let rest = url.split_once('@').map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
