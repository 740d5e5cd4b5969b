//! The JSON shapes, a file for each group. The tests check every answer against them, and let no field pass that is not
//! here.
//!
//! In an answer, fields that may be absent are those that `required` does not list; all others are there, if only as
//! `null`.

mod batches;
mod installation;
mod jobs;
mod kinds;
mod leases;
mod queues;
mod schedules;
mod shapes;
mod webhooks;

use raincheck_shared::config::Settings;
use serde_json::{Map, Value};

pub(super) use jobs::{concurrency_key, tags};
pub(super) use shapes::{duration, instant, job_id, kept_text, name};

/// Every schema by its name.
pub(super) fn components(settings: &Settings) -> Map<String, Value> {
    let all = [
        jobs::schemas(settings),
        batches::schemas(settings),
        kinds::schemas(),
        queues::schemas(),
        schedules::schemas(settings),
        leases::schemas(),
        installation::schemas(),
        webhooks::schemas(),
    ];
    all.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
