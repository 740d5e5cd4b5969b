//! What is sent: the event and the whole Job or Batch, as the API shows it, in 20 kB at most.

use std::sync::Arc;

use bytes::Bytes;
use raincheck_shared::domain::{Batch, Event, Job, Timestamp};
use serde::Serialize;
use time::serde::rfc3339;

use crate::engine::Forecast;
use crate::http::{BatchView, JobView, LinkBase};

/// How large a body may be, in bytes. Receivers count on it.
pub(super) const LIMIT: usize = 20_000;
/// What is kept of texts that somebody else made, in the last resort.
const SHORT: usize = 500;

#[derive(Debug, Serialize)]
struct Body<T> {
    r#type: &'static str,
    #[serde(with = "rfc3339")]
    timestamp: Timestamp,
    data: T,
}

/// What the event is of.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Job(Arc<Job>),
    Batch(Arc<Batch>),
}

/// The body of a delivery.
pub(super) fn render(
    event: Event,
    happened_at: Timestamp,
    of: &Subject,
    links: &LinkBase,
) -> serde_json::Result<Bytes> {
    match of {
        Subject::Job(job) => render_job(event, happened_at, job, links),
        Subject::Batch(batch) => {
            // The same in every attempt, as with a job: without what became of this very delivery.
            let batch = Batch { webhook: None, ..(**batch).clone() };
            let data = BatchView::new(&batch, links);
            serde_json::to_vec(&Body { r#type: event.as_str(), timestamp: happened_at, data }).map(Bytes::from)
        }
    }
}

/// The Job is without `webhook`, which says what became of deliveries such as this one: so the body
/// of an end is the same in every attempt. What does not fit is left out, the result first.
fn render_job(event: Event, happened_at: Timestamp, job: &Job, links: &LinkBase) -> serde_json::Result<Bytes> {
    let mut job = Job { webhook: None, ..job.clone() };
    let nothing_foretold = Forecast::default();
    for shorten in [nothing, leave_out_the_result, leave_out_the_history, leave_out_the_labels] {
        shorten(&mut job);
        // Not now and at random, but as soon as it may be asked for: the same each time.
        let data = JobView::new(&job, &nothing_foretold, links, happened_at, 0.5);
        let body = serde_json::to_vec(&Body { r#type: event.as_str(), timestamp: happened_at, data })?;
        if body.len() <= LIMIT {
            return Ok(body.into());
        }
    }
    Err(serde::ser::Error::custom("a body of more than 20 kB"))
}

fn nothing(_: &mut Job) {}

/// Its URL stands there instead.
fn leave_out_the_result(job: &mut Job) {
    if let Some(result) = &mut job.result {
        result.inline = None;
    }
}

fn leave_out_the_history(job: &mut Job) {
    job.attempts.clear();
    if let Some(error) = &mut job.error {
        error.detail = None;
    }
}

/// As many as fit in any case are a matter of configuration.
fn leave_out_the_labels(job: &mut Job) {
    job.metadata = None;
    job.tags.clear();
    let texts = [
        job.error.as_mut().map(|error| &mut error.message),
        job.progress.as_mut().and_then(|progress| progress.message.as_mut()),
        job.cancel.as_mut().and_then(|cancel| cancel.reason.as_mut()),
    ];
    for text in texts.into_iter().flatten() {
        *text = text.chars().take(SHORT).collect();
    }
}
