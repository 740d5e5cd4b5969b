//! `GET /metrics`: numbers for Prometheus, written out by hand, since the form is a line for each number.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::{HttpResponse, web};
use raincheck_shared::store::LivingWorker;
use raincheck_shared::telemetry::metrics::{self, Metric};
use serde_json::json;

use super::Front;
use super::openapi::{Answer, Operation};
use crate::engine::{Desk, QueueState};

/// What is counted in this process. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(Arc<CountsInner>);

#[derive(Debug, Default)]
struct CountsInner {
    /// By hundreds of the status.
    requests: [AtomicU64; 6],
    accepted: AtomicU64,
}

impl Counts {
    /// Notes an answer.
    pub(crate) fn answered(&self, status: u16) {
        if let Some(count) = self.0.requests.get(usize::from(status / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes jobs that were accepted.
    pub(crate) fn accepted(&self, jobs: u64) {
        self.0.accepted.fetch_add(jobs, Ordering::Relaxed);
    }
}

/// Reads one number, as it is written.
type ValueOf<T> = fn(&T) -> String;

/// Writes all numbers. When the store is away those that only it knows are left out.
pub(crate) async fn get_metrics(front: web::Data<Front>) -> HttpResponse {
    let mut page = Page::default();
    let counts = &front.counts.0;
    page.family(
        metrics::HTTP_REQUESTS,
        (1..=5)
            .map(|class| (format!("{{class=\"{class}xx\"}}"), count(counts.requests[class].load(Ordering::Relaxed)))),
    );
    page.family(metrics::JOBS_ACCEPTED, [(String::new(), count(counts.accepted.load(Ordering::Relaxed)))]);
    page.family(metrics::JOBS_WAITED_FOR, [(String::new(), count(front.desk.waited_for()))]);
    // A scrape that waited for all of the store's timeout would be given up, and nobody would see that the store is away.
    let states = tokio::time::timeout(Desk::A_MOMENT, front.desk.queues()).await.ok().and_then(Result::ok);
    page.family(metrics::STORE_UP, [(String::new(), flag(states.is_some()))]);
    if let Some(states) = states {
        write_queues(&mut page, &states.queues);
        write_workers(&mut page, &states.workers);
    }
    HttpResponse::Ok()
        .insert_header(("Content-Type", "text/plain; version=0.0.4; charset=utf-8"))
        .insert_header(("Cache-Control", "no-store"))
        .body(page.0)
}

fn write_queues(page: &mut Page, queues: &[QueueState]) {
    let values: [(Metric, ValueOf<QueueState>); 7] = [
        (metrics::QUEUE_WAITING, |queue| count(queue.waiting)),
        (metrics::QUEUE_RUNNING, |queue| count(queue.running)),
        (metrics::QUEUE_OLDEST_AGE, |queue| number(queue.oldest.unwrap_or_default().as_secs_f64())),
        (metrics::QUEUE_BACKLOG, |queue| number(queue.backlog_seconds)),
        (metrics::QUEUE_ENDS, |queue| number(queue.ends_per_second)),
        (metrics::QUEUE_WORKERS, |queue| count(queue.workers)),
        (metrics::QUEUE_PAUSED, |queue| flag(queue.paused_at.is_some())),
    ];
    for (metric, value) in values {
        page.family(metric, queues.iter().map(|queue| (format!("{{queue=\"{}\"}}", queue.name), value(queue))));
    }
}

fn write_workers(page: &mut Page, workers: &[LivingWorker]) {
    let labels = |worker: &LivingWorker| format!("worker=\"{}\",id=\"{}\"", escaped(&worker.name), worker.id);
    let values: [(Metric, ValueOf<LivingWorker>); 3] = [
        (metrics::WORKER_SLOTS, |worker| count(worker.report.slots)),
        (metrics::WORKER_RUNNING, |worker| count(worker.report.queues.iter().map(|queue| queue.running).sum())),
        (metrics::WORKER_HEARTBEAT_AGE, |worker| number(worker.silent_for.as_secs_f64())),
    ];
    for (metric, value) in values {
        page.family(metric, workers.iter().map(|worker| (format!("{{{}}}", labels(worker)), value(worker))));
    }
    page.family(
        metrics::WORKER_ENDS,
        workers.iter().flat_map(|worker| {
            let ends = worker.report.ends;
            [
                ("succeeded", ends.succeeded),
                ("failed", ends.failed),
                ("retrying", ends.retrying),
                ("canceled", ends.canceled),
                ("released", ends.released),
                ("fenced", ends.fenced),
            ]
            .map(|(outcome, ends)| (format!("{{{},outcome=\"{outcome}\"}}", labels(worker)), count(ends)))
        }),
    );
}

/// The text.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    /// All numbers of one metric, each with its labels. Nothing, when there are none.
    fn family(&mut self, metric: Metric, values: impl IntoIterator<Item = (String, String)>) {
        let Metric { name, sort, help } = metric;
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {sort}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn count(number: u64) -> String {
    number.to_string()
}

fn number(value: f64) -> String {
    format!("{value:.3}")
}

fn flag(is: bool) -> String {
    u8::from(is).to_string()
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub(crate) fn operation() -> Operation {
    let text = json!({ "schema": { "type": "string" } });
    Operation::new("getMetrics", "installation", "Numbers for Prometheus")
        .says(
            "What this process did, how every queue stands, and how each worker does. While the store is away, what only it \
             knows is left out within a second, `raincheck_store_up` is 0, and a key is believed that was good before.",
        )
        .answers(Answer::new(200, "In the text format of Prometheus.").content("text/plain", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_escaped_and_a_metric_without_numbers_is_not_mentioned() {
        let mut page = Page::default();
        page.family(metrics::WORKER_SLOTS, []);
        assert_eq!(page.0, "");
        page.family(metrics::STORE_UP, [(format!("{{a=\"{}\"}}", escaped("b\"\\\n")), flag(true))]);
        let lines: Vec<&str> = page.0.lines().collect();
        assert!(lines[0].starts_with("# HELP raincheck_store_up ") && lines[1] == "# TYPE raincheck_store_up gauge");
        assert_eq!(lines[2], "raincheck_store_up{a=\"b\\\"\\\\\\n\"} 1");
    }
}
