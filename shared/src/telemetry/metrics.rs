//! The names of all metrics, with their units in them. `docs/operations.md` says what each is good for.

/// A metric: its name, what sort it is, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// `raincheck_…`, with the unit.
    pub name: &'static str,
    /// `counter` or `gauge`, as Prometheus says it.
    pub sort: &'static str,
    /// One sentence.
    pub help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, sort: "gauge", help }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, sort: "counter", help }
}

/// Requests that this process has answered, by `class`.
pub const HTTP_REQUESTS: Metric =
    counter("raincheck_http_requests_total", "Requests that this process has answered, by class of status.");
/// Jobs that this process has accepted.
pub const JOBS_ACCEPTED: Metric = counter("raincheck_jobs_accepted_total", "Jobs that this process has accepted.");
/// Jobs that clients of this process wait for.
pub const JOBS_WAITED_FOR: Metric =
    gauge("raincheck_jobs_waited_for", "Jobs whose next change clients of this process wait for.");
/// Whether the store told how queues stand.
pub const STORE_UP: Metric = gauge("raincheck_store_up", "1 when the store answered this scrape, else 0.");
/// Jobs that wait, by `queue`.
pub const QUEUE_WAITING: Metric = gauge("raincheck_queue_waiting_jobs", "Jobs that wait in a queue.");
/// Jobs that run, by `queue`.
pub const QUEUE_RUNNING: Metric = gauge("raincheck_queue_running_jobs", "Jobs of a queue that run.");
/// Age of what waits longest, by `queue`.
pub const QUEUE_OLDEST_AGE: Metric =
    gauge("raincheck_queue_oldest_age_seconds", "For how long the job that waits longest has waited.");
/// Backlog, by `queue`.
pub const QUEUE_BACKLOG: Metric =
    gauge("raincheck_queue_backlog_seconds", "How long the slots there are would take for what waits: scale on this.");
/// Rate of ends, by `queue`.
pub const QUEUE_ENDS: Metric =
    gauge("raincheck_queue_ends_per_second", "Attempts that ended lately, per second, over all workers.");
/// Workers, by `queue`.
pub const QUEUE_WORKERS: Metric = gauge("raincheck_queue_workers", "Workers that serve a queue.");
/// Whether a queue is paused, by `queue`.
pub const QUEUE_PAUSED: Metric = gauge("raincheck_queue_paused", "1 while a queue is paused, else 0.");
/// Slots, by `worker` and `id`.
pub const WORKER_SLOTS: Metric = gauge("raincheck_worker_slots", "Handlers that a worker can run at once.");
/// Running handlers, by `worker` and `id`.
pub const WORKER_RUNNING: Metric = gauge("raincheck_worker_running_jobs", "Jobs that a worker runs.");
/// Ends of attempts, by `worker`, `id` and `outcome`.
pub const WORKER_ENDS: Metric = counter("raincheck_worker_ends_total", "Ends of attempts, by what came of them.");
/// Age of the latest sign of life, by `worker` and `id`.
pub const WORKER_HEARTBEAT_AGE: Metric =
    gauge("raincheck_worker_heartbeat_age_seconds", "How long ago a worker's latest sign of life came.");

/// All of them.
pub const ALL: [Metric; 15] = [
    HTTP_REQUESTS,
    JOBS_ACCEPTED,
    JOBS_WAITED_FOR,
    STORE_UP,
    QUEUE_WAITING,
    QUEUE_RUNNING,
    QUEUE_OLDEST_AGE,
    QUEUE_BACKLOG,
    QUEUE_ENDS,
    QUEUE_WORKERS,
    QUEUE_PAUSED,
    WORKER_SLOTS,
    WORKER_RUNNING,
    WORKER_ENDS,
    WORKER_HEARTBEAT_AGE,
];
