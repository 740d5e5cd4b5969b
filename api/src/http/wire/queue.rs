//! A queue, as operators see it.

use raincheck_shared::domain::Timestamp;
use serde::Serialize;
use time::serde::rfc3339;

use super::links::LinkBase;
use crate::engine::QueueState;

/// A queue.
#[derive(Debug, Serialize)]
pub(crate) struct QueueView<'a> {
    name: &'a str,
    waiting: u64,
    running: u64,
    oldest_age_seconds: Option<f64>,
    ends_per_second: f64,
    run_seconds: Option<f64>,
    backlog_seconds: f64,
    workers: u64,
    slots: u64,
    paused: bool,
    #[serde(with = "rfc3339::option")]
    paused_at: Option<Timestamp>,
    links: QueueLinks,
}

#[derive(Debug, Serialize)]
struct QueueLinks {
    #[serde(rename = "self")]
    itself: String,
    jobs: String,
    pause: String,
    resume: String,
}

impl<'a> QueueView<'a> {
    /// A queue as it stands.
    pub(crate) fn new(queue: &'a QueueState, links: &LinkBase) -> Self {
        let path = format!("/v1/queues/{}", queue.name);
        Self {
            name: queue.name.as_str(),
            waiting: queue.waiting,
            running: queue.running,
            oldest_age_seconds: queue.oldest.map(|age| age.as_secs_f64()),
            ends_per_second: queue.ends_per_second,
            run_seconds: queue.run_seconds,
            backlog_seconds: queue.backlog_seconds,
            workers: queue.workers,
            slots: queue.slots,
            paused: queue.paused_at.is_some(),
            paused_at: queue.paused_at,
            links: QueueLinks {
                jobs: links.to(&format!("/v1/jobs?queue={}", queue.name)),
                pause: links.to(&format!("{path}/pause")),
                resume: links.to(&format!("{path}/resume")),
                itself: links.to(&path),
            },
        }
    }
}
