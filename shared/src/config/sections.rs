//! The sections, one function each: which keys there are, and what is allowed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use config::Value;
use tracing::level_filters::LevelFilter;

use super::section::{Read, Section};
use super::value::{
    Parsed, address, boolean, ca_file, duration, line, list, parsed, size, text, text_or_nothing, whole,
};
use super::{
    AuthSettings, BrokerSettings, HttpSettings, JobSettings, LogFormat, LogSettings, RabbitmqSettings, StoreSettings,
    UpkeepSettings, WorkerSettings, format_duration, format_size,
};
use super::{access, url};
use crate::domain::QueueName;

const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
/// What an upload can bring within a day, and a blob store can hold without pain.
const LARGEST_PAYLOAD: u64 = 5 << 30;

pub(super) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn http(s: &mut Section, auth: Option<&AuthSettings>) -> Read<HttpSettings> {
    let listen = s.required("listen", address);
    let listen_without_keys = s.required("listen_without_keys", boolean);
    let public_url = s.required("public_url", |value| text_or_nothing(value)?.as_deref().map(url::public).transpose());
    let allowed_origins = s.required("allowed_origins", list(|value| url::origin(&text(value)?)));
    let allowed_hosts = s.required("allowed_hosts", list(|value| url::host(&text(value)?)));
    let workers = s.required("workers", whole(0, 1_024));
    let max_wait = s.required("max_wait", duration(Duration::ZERO, HOUR));
    let drain_timeout = s.required("drain_timeout", duration(Duration::ZERO, HOUR));
    let max_connections = s.required("max_connections", whole(1, 1_000_000));
    if let (Ok(listen), Ok(false), Some(false)) = (listen, listen_without_keys, auth.map(|auth| auth.required)) {
        access::check_door(s, listen);
    }
    let workers = match workers? {
        0 => available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    Ok(HttpSettings {
        listen: listen?,
        listen_without_keys: listen_without_keys?,
        public_url: public_url?,
        allowed_origins: allowed_origins?,
        allowed_hosts: allowed_hosts?,
        workers,
        max_wait: max_wait?,
        drain_timeout: drain_timeout?,
        max_connections: max_connections?,
    })
}

pub(super) fn store(s: &mut Section) -> Read<StoreSettings> {
    let url = s.required("url", |value| url::store(&text(value)?));
    let connections = s.required("connections", whole(2, 1_000));
    let timeout = s.required("timeout", duration(millis(100), 5 * MINUTE));
    Ok(match url? {
        url::StoreUrl::Sqlite(path) => StoreSettings::Sqlite { path },
        url::StoreUrl::Postgres(url) => StoreSettings::Postgres { url, connections: connections?, timeout: timeout? },
    })
}

pub(super) fn broker(s: &mut Section) -> Read<BrokerSettings> {
    let url = s.required("url", |value| url::broker(&text(value)?));
    let ca_file = s.required("ca_file", ca_file);
    // The rule for queues' names is the broker's too.
    let prefix = s.required("prefix", parsed::<QueueName>);
    let publish_timeout = s.required("publish_timeout", duration(millis(100), 5 * MINUTE));
    let connect_timeout = s.required("connect_timeout", duration(millis(100), 5 * MINUTE));
    let heartbeat = s.required("heartbeat", duration(Duration::from_secs(1), 10 * MINUTE));
    let max_backoff = s.required("max_backoff", duration(millis(100), 10 * MINUTE));
    if heartbeat.is_ok_and(|heartbeat| heartbeat.subsec_nanos() > 0) {
        s.problem("heartbeat", "must be whole seconds, which is all that AMQP can say");
    }
    // Who names an authority counts on TLS.
    if let (Ok(Some(url)), Ok(Some(_))) = (&url, &ca_file)
        && !url.expose().starts_with(url::AMQPS)
    {
        s.clash(&["ca_file", "url"], "means nothing without amqps:// in `broker.url`");
    }
    let prefix = prefix?.to_string();
    let ca_file = ca_file?;
    let (publish_timeout, connect_timeout) = (publish_timeout?, connect_timeout?);
    let (heartbeat, max_backoff) = (heartbeat?, max_backoff?);
    Ok(match url? {
        None => BrokerSettings::InProcess,
        Some(url) => BrokerSettings::Rabbitmq(RabbitmqSettings {
            url,
            ca_file,
            prefix,
            publish_timeout,
            connect_timeout,
            heartbeat,
            max_backoff,
        }),
    })
}

/// SQLite is one process's own, so nobody could hear what a broker delivers elsewhere.
pub(super) fn check_pair(root: &mut Section, store: &StoreSettings, broker: &BrokerSettings) {
    if matches!((store, broker), (StoreSettings::Sqlite { .. }, BrokerSettings::Rabbitmq(_))) {
        root.problem(
            "broker",
            "RabbitMQ needs a store that several processes can share: set `store.url = \"postgres://…\"`, or leave \
             `broker.url = \"in-process\"` for one process with SQLite",
        );
    }
}

/// What `rescue_dead_worker.sql` counts on: past this and a quarter more, a free lock means a death.
const LOCK_HEARTBEAT: Duration = Duration::from_secs(1);

pub(super) fn worker(s: &mut Section, environment: &BTreeMap<String, String>) -> Read<WorkerSettings> {
    let name = s.required("name", line(200));
    let queues = s.required("queues", list(parsed::<QueueName>));
    let concurrency = s.required("concurrency", whole(1, 10_000));
    let lease = s.required("lease", duration(millis(500), 10 * MINUTE));
    let heartbeat = s.required("heartbeat", duration(millis(50), 10 * MINUTE));
    let session_lock = s.required("session_lock", boolean);
    let drain_timeout = s.required("drain_timeout", duration(Duration::ZERO, DAY));
    let fallback_poll = s.required("fallback_poll", duration(millis(50), MINUTE));
    let scratch = s.required("scratch", text_or_nothing);
    if let (Ok(lease), Ok(heartbeat)) = (lease, heartbeat)
        && heartbeat * 3 > lease
    {
        let (lease, heartbeat) = (format_duration(lease), format_duration(heartbeat));
        s.clash(
            &["heartbeat", "lease"],
            format!("{heartbeat} is more than a third of `worker.lease` ({lease}): one late beat would lose the lease"),
        );
    }
    if heartbeat.is_ok_and(|heartbeat| heartbeat > LOCK_HEARTBEAT) && matches!(session_lock, Ok(true)) {
        s.clash(
            &["heartbeat", "session_lock"],
            "more than 1s needs `worker.session_lock = false`: a worker that lost its lock takes it again with its next \
             beat, and is given up a second and a quarter after the last one",
        );
    }
    let mut queues = queues?;
    queues.sort();
    queues.dedup();
    Ok(WorkerSettings {
        name: name.map(|name| if name.is_empty() { host_name(environment) } else { name })?,
        queues,
        concurrency: concurrency?,
        lease: lease?,
        heartbeat: heartbeat?,
        session_lock: session_lock?,
        drain_timeout: drain_timeout?,
        fallback_poll: fallback_poll?,
        scratch: scratch?.map(PathBuf::from),
    })
}

fn host_name(environment: &BTreeMap<String, String>) -> String {
    let told = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = environment.get("HOSTNAME").cloned().or_else(told).unwrap_or_default();
    match name.trim() {
        "" => "worker".to_owned(),
        name => name.chars().filter(|c| !c.is_control()).take(200).collect(),
    }
}

pub(super) fn jobs(s: &mut Section) -> Read<JobSettings> {
    let max_input = s.required("max_input", size(1, LARGEST_PAYLOAD));
    let max_output = s.required("max_output", size(1, LARGEST_PAYLOAD));
    let max_log = s.required("max_log", size(0, 64 << 20));
    let inline_result = s.required("inline_result", size(0, 1 << 20));
    let max_queued = s.required("max_queued", whole(1, 1_000_000_000));
    let max_run_timeout = s.required("max_run_timeout", duration(Duration::from_secs(1), 365 * DAY));
    let retention = s.required("retention", duration(Duration::from_secs(1), 3_650 * DAY));
    let max_retention = s.required("max_retention", duration(Duration::from_secs(1), 3_650 * DAY));
    let max_crashes = s.required("max_crashes", whole(1, 1_000));
    let cancel_grace = s.required("cancel_grace", duration(Duration::ZERO, DAY));
    let max_metadata = s.required("max_metadata", whole(0, 1_000));
    let max_tags = s.required("max_tags", whole(0, 1_000));
    let max_schedules = s.required("max_schedules", whole(0, 1_000_000));
    let batch = s.required("batch", whole(1, 10_000));
    let page = s.required("page", whole(1, 1_000));
    if let (Ok(retention), Ok(most)) = (retention, max_retention)
        && retention > most
    {
        let (retention, most) = (format_duration(retention), format_duration(most));
        s.clash(&["retention", "max_retention"], format!("{retention} is more than `jobs.max_retention` ({most})"));
    }
    if let (Ok(inline), Ok(most)) = (inline_result, max_output)
        && inline > most
    {
        let (inline, most) = (format_size(inline), format_size(most));
        s.clash(&["inline_result", "max_output"], format!("{inline} is more than `jobs.max_output` ({most})"));
    }
    Ok(JobSettings {
        max_input: max_input?,
        max_output: max_output?,
        max_log: max_log?,
        inline_result: inline_result?,
        max_queued: max_queued?,
        max_run_timeout: max_run_timeout?,
        retention: retention?,
        max_retention: max_retention?,
        max_crashes: max_crashes?,
        cancel_grace: cancel_grace?,
        max_metadata: max_metadata?,
        max_tags: max_tags?,
        max_schedules: max_schedules?,
        batch: batch?,
        page: page?,
    })
}

pub(super) fn upkeep(s: &mut Section) -> Read<UpkeepSettings> {
    let period = || duration(millis(50), DAY);
    let relay = s.required("relay", period());
    let timers = s.required("timers", period());
    let schedules = s.required("schedules", period());
    let workers = s.required("workers", period());
    let lost_dispatches = s.required("lost_dispatches", period());
    let permits = s.required("permits", period());
    let deliveries = s.required("deliveries", period());
    let retention = s.required("retention", period());
    let blobs = s.required("blobs", period());
    Ok(UpkeepSettings {
        relay: relay?,
        timers: timers?,
        schedules: schedules?,
        workers: workers?,
        lost_dispatches: lost_dispatches?,
        permits: permits?,
        deliveries: deliveries?,
        retention: retention?,
        blobs: blobs?,
    })
}

pub(super) fn log(s: &mut Section) -> Read<LogSettings> {
    let filter = s.required("filter", log_filter);
    let format = s.required("format", |value| match text(value)?.as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("{other:?} is neither \"text\" nor \"json\"")),
    });
    let access = s.required("access", boolean);
    Ok(LogSettings { filter: filter?, format: format?, access: access? })
}

/// A level, or levels by target. A word alone would be taken for a target there, so a slip in a level would silence
/// everything else.
fn log_filter(value: &Value) -> Parsed<String> {
    let text = line(1_000)(value)?;
    let is_level = |level: &str| !level.is_empty() && level.parse::<LevelFilter>().is_ok();
    let is_good = |part: &str| match part.split_once('=') {
        Some((target, level)) => !target.is_empty() && !target.contains(['[', '{']) && is_level(level),
        None => is_level(part),
    };
    if text.split(',').map(str::trim).all(is_good) {
        return Ok(text);
    }
    Err(format!(
        "{text:?} is not a level (off, error, warn, info, debug, trace), or levels by target: \"info,raincheck_worker=debug\""
    ))
}
