//! The sections and their types. `raincheck.default.toml` documents each key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::kind::Kind;
use super::secret::Secret;
use super::webhooks::WebhookSettings;
use crate::domain::{FlowRules, KindName, QueueName, ScheduleDefinition, ScheduleName, TenantName};

/// All of it. Total: nothing that uses it has to check it again.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[http]`
    pub http: HttpSettings,
    /// `[auth]`: who may call
    pub auth: AuthSettings,
    /// `[quotas]`, and `[tenants.*]` where they are others
    pub quotas: QuotaSettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[blobs]`
    pub blobs: BlobSettings,
    /// `[broker]`
    pub broker: BrokerSettings,
    /// `[worker]`
    pub worker: WorkerSettings,
    /// `[jobs]`: limits and defaults for all kinds
    pub jobs: JobSettings,
    /// `[webhooks]`
    pub webhooks: WebhookSettings,
    /// `[upkeep]`
    pub upkeep: UpkeepSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[kinds.*]`, the built-in ones included
    pub kinds: BTreeMap<KindName, Arc<Kind>>,
    /// `[schedules.*]`
    pub schedules: Vec<ConfiguredSchedule>,
    /// What kinds and quotas come to as limits on what runs at once and on what starts in a time
    pub flow: FlowRules,
}

/// `[schedules.NAME]`: a schedule that is what the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredSchedule {
    /// `tenant`: whose it is
    pub tenant: TenantName,
    /// Its name.
    pub name: ScheduleName,
    /// All else.
    pub definition: ScheduleDefinition,
}

impl Settings {
    /// Every queue that a kind waits in by default, in order, and `default`.
    pub fn queues(&self) -> Vec<QueueName> {
        let mut queues: Vec<QueueName> = self.kinds.values().map(|k| k.queue.clone()).collect();
        queues.extend("default".parse());
        queues.sort();
        queues.dedup();
        queues
    }

    /// Every kind whose jobs are leased over HTTP, in order.
    pub fn remote_kinds(&self) -> Vec<KindName> {
        self.kinds.values().filter(|kind| kind.is_remote()).map(|kind| kind.name.clone()).collect()
    }
}

/// `[http]`: where and how the API listens.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `listen`
    pub listen: SocketAddr,
    /// `listen_without_keys`: listen beyond loopback although nobody has to show a key
    pub listen_without_keys: bool,
    /// `public_url`: what absolute links are built from; links are relative without it
    pub public_url: Option<String>,
    /// `allowed_origins`: whose web pages may use the API; `*`: all
    pub allowed_origins: Vec<String>,
    /// `allowed_hosts`: by which names it may be asked while nobody has to show a key; `*`: all
    pub allowed_hosts: Vec<String>,
    /// `workers`: threads that parse requests
    pub workers: usize,
    /// `max_wait`: the longest a request is held open for `Prefer: wait`
    pub max_wait: Duration,
    /// `drain_timeout`: how long requests in flight may take after SIGTERM
    pub drain_timeout: Duration,
    /// `max_connections`: per worker thread
    pub max_connections: usize,
}

/// `[auth]`
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// `required`: a key is needed also while none was made
    pub required: bool,
    /// `ticket_lifetime`: how long a ticket for one job is good
    pub ticket_lifetime: Duration,
}

/// `[quotas]` and `[tenants.*]`
#[derive(Debug, Clone, Default)]
pub struct QuotaSettings {
    /// Those of every tenant that has none of its own.
    pub each: Quotas,
    /// Those of single tenants.
    pub of_tenants: BTreeMap<TenantName, Quotas>,
}

impl QuotaSettings {
    /// A tenant's.
    pub fn of(&self, tenant: &TenantName) -> Quotas {
        self.of_tenants.get(tenant).copied().unwrap_or(self.each)
    }
}

/// What one tenant may use. `None`: as much as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// `submits_per_minute`: at each API replica
    pub submits_per_minute: Option<u32>,
    /// `queued`: jobs that wait at the same time, over all queues
    pub queued: Option<u64>,
    /// `concurrent_jobs`: jobs that run at the same time, over all kinds and workers
    pub concurrent_jobs: Option<u32>,
}

/// `[store]`: an enum, so that no setting of one store can be given to the other.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// `url = "sqlite:path/to/file"`
    Sqlite {
        /// The file; its folder is created.
        path: PathBuf,
    },
    /// `url = "postgres://…"`
    Postgres {
        /// With its password.
        url: Secret,
        /// `connections`: at most so many of each process
        connections: u32,
        /// `timeout`: how long a statement or a connect may take
        timeout: Duration,
    },
}

/// `[blobs]`: where bodies go that are too large for the database.
#[derive(Debug, Clone)]
pub struct BlobSettings {
    /// `url`, and what goes with it
    pub place: BlobPlace,
    /// `in_database`: the largest body that is kept in the database, in bytes
    pub in_database: u64,
    /// `writers`: parts of blobs that one process writes at the same time, and bodies that it receives
    pub writers: usize,
    /// `keep_orphans`: how old an input must be that no job names before it is removed
    pub keep_orphans: Duration,
}

/// Where blobs are.
#[derive(Debug, Clone)]
pub enum BlobPlace {
    /// `url = "directory:path/to/folder"`
    Directory {
        /// The folder; it is created.
        path: PathBuf,
    },
    /// `url = "s3://BUCKET/PREFIX"`
    S3(S3Settings),
}

/// `[blobs]` with `url = "s3://…"`
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// From `url`.
    pub bucket: String,
    /// From `url`: what all names start with; may be empty.
    pub prefix: String,
    /// `endpoint`: of something other than Amazon's
    pub endpoint: Option<String>,
    /// `region`
    pub region: Option<String>,
    /// `access_key_id`; without one, what the environment or the machine's role gives
    pub access_key_id: Option<String>,
    /// `secret_access_key`
    pub secret_access_key: Option<Secret>,
}

/// `[broker]`
#[derive(Debug, Clone)]
pub enum BrokerSettings {
    /// `url = "in-process"`
    InProcess,
    /// `url = "amqp://…"`
    Rabbitmq(RabbitmqSettings),
}

/// `[broker]` with `url = "amqp://…"`
#[derive(Debug, Clone)]
pub struct RabbitmqSettings {
    /// With its password.
    pub url: Secret,
    /// `ca_file`: certificates in PEM to trust besides the public ones, where the URL is `amqps://…`
    pub ca_file: Option<PathBuf>,
    /// `prefix`: of every queue and exchange, so that installations can share a broker
    pub prefix: String,
    /// `publish_timeout`: from publish to confirm
    pub publish_timeout: Duration,
    /// `connect_timeout`
    pub connect_timeout: Duration,
    /// `heartbeat`: the AMQP heartbeat
    pub heartbeat: Duration,
    /// `max_backoff`: the longest pause between two connects
    pub max_backoff: Duration,
}

/// `[worker]`
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// `name`: for people; the host's name by default
    pub name: String,
    /// `queues`: empty means every queue that the configured kinds use
    pub queues: Vec<QueueName>,
    /// `concurrency`: handlers at once, over all kinds
    pub concurrency: usize,
    /// `lease`: how long a silent worker is believed to live
    pub lease: Duration,
    /// `heartbeat`: between two renewals; at most a third of the lease
    pub heartbeat: Duration,
    /// `session_lock`: show death at once by a freed advisory lock; without, the end of the lease shows it
    pub session_lock: bool,
    /// `drain_timeout`: how long running handlers may take after SIGTERM before they are given back
    pub drain_timeout: Duration,
    /// `fallback_poll`: between two looks into the store while the broker is down
    pub fallback_poll: Duration,
    /// `scratch`: where attempts of a `command` get folders of their own; the system's temporary folder by default
    pub scratch: Option<PathBuf>,
}

/// `[jobs]`: limits and defaults for all kinds.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// `max_input`: bytes, in the database or as a blob
    pub max_input: u64,
    /// `max_output`: bytes, in the database or as a blob
    pub max_output: u64,
    /// `max_log`: bytes of a job's log
    pub max_log: u64,
    /// `inline_result`: results of JSON or text up to this many bytes are part of the Job
    pub inline_result: u64,
    /// `max_queued`: jobs that may wait in one queue
    pub max_queued: u64,
    /// `max_run_timeout`: the longest timeout a client or kind may ask for
    pub max_run_timeout: Duration,
    /// `retention`: how long an ended job is kept, unless its kind or the client says otherwise
    pub retention: Duration,
    /// `max_retention`
    pub max_retention: Duration,
    /// `max_crashes`: deaths of a worker under one job until the job is held to be the cause
    pub max_crashes: i32,
    /// `cancel_grace`: how long a handler may take to stop
    pub cancel_grace: Duration,
    /// `max_metadata`: pairs
    pub max_metadata: usize,
    /// `max_tags`
    pub max_tags: usize,
    /// `max_schedules`: schedules that a tenant may make over the API
    pub max_schedules: u32,
    /// `batch`: jobs that may be submitted in one request
    pub batch: usize,
    /// `page`: jobs of one page of a list at most
    pub page: u32,
}

/// `[upkeep]`: how often the repair loops look when nobody nudges them.
#[derive(Debug, Clone)]
pub struct UpkeepSettings {
    /// `relay`: dispatches that nobody published
    pub relay: Duration,
    /// `timers`: the longest sleep between two looks at what is due
    pub timers: Duration,
    /// `schedules`
    pub schedules: Duration,
    /// `workers`: probes for dead workers
    pub workers: Duration,
    /// `lost_dispatches`: how long a published dispatch may wait while the broker shows nothing for it
    pub lost_dispatches: Duration,
    /// `permits`: jobs that wait for a permit
    pub permits: Duration,
    /// `deliveries`: webhooks that are due
    pub deliveries: Duration,
    /// `retention`
    pub retention: Duration,
    /// `blobs`: blobs that no job names any more
    pub blobs: Duration,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `filter`: `info`, or `raincheck=debug,lapin=warn`
    pub filter: String,
    /// `format`
    pub format: LogFormat,
    /// `access`: a line for each request
    pub access: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
