//! Queues: how they stand.

use serde_json::{Value, json};

use super::shapes::{answer, count, described, instant, links, name, of, or_null};

/// Their schemas by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("Queue", queue()), ("Queues", answer(&json!({ "queues": { "type": "array", "items": of("Queue") } })))]
}

fn queue() -> Value {
    let seconds = |description: &str| json!({ "type": "number", "minimum": 0, "description": description });
    answer(&json!({
        "name": name(),
        "waiting": described(&count(0), "Jobs that wait."),
        "running": described(&count(0), "Jobs that run, as workers said with their latest sign of life."),
        "oldest_age_seconds": or_null(&seconds("For how long the job that waits longest has waited.")),
        "ends_per_second": seconds("Attempts that ended lately, over all workers."),
        "run_seconds": or_null(&seconds("How long they ran on average.")),
        "backlog_seconds": seconds("How long the slots there are would take for what waits; with no worker, as if there were one slot."),
        "workers": described(&count(0), "Workers that serve it; remote ones while they hold a lease, told apart by their `worker`."),
        "slots": described(&count(0), "Their slots, which they may share with other queues."),
        "paused": { "type": "boolean" },
        "paused_at": or_null(&instant()),
        "links": links(&["self", "jobs", "pause", "resume"]),
    }))
}
