//! What requests carry in paths, queries and headers.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{Event, FailureCode, Status};
use serde_json::{Map, Value, json};

use super::schemas;
use crate::http::list_deliveries;

/// Where a parameter stands.
const PATH: &str = "path";
const QUERY: &str = "query";
const HEADER: &str = "header";

/// A parameter by its name in the components.
pub(super) fn reference(name: &str) -> Value {
    super::operation::reference("parameters", name)
}

/// All of them. A name that stands in several places has the place in front: `query.kind`.
pub(super) fn components(settings: &Settings) -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let name = schemas::name;
    let duration = schemas::duration;
    let instant = schemas::instant;
    let all = [
        ("id", PATH, "The job's id.", schemas::job_id()),
        ("kind", PATH, "What sort of work: one of the configured kinds.", name()),
        ("path.batch", PATH, "The batch's id.", schemas::job_id()),
        (
            "path.code",
            PATH,
            "The code of a problem, or of a job's `error`.",
            json!({ "type": "string", "pattern": "^[a-z]+(-[a-z]+)*$" }),
        ),
        ("path.completion", PATH, "What `Raincheck-Completion-Url` ends in.", text()),
        ("path.lease", PATH, "The lease's token.", text()),
        ("path.queue", PATH, "One of the queues.", name()),
        (
            "wait",
            QUERY,
            "How long to hold the answer, at most `http.max_wait`; `Prefer: wait` goes before it.",
            duration(),
        ),
        (
            "Prefer",
            HEADER,
            "`wait=N`: hold the answer for up to N seconds; `respond-async`: asks for what is done anyway; `redirect`: \
             to the result, once there is one (RFC 7240). What is not understood is ignored.",
            text(),
        ),
        ("If-None-Match", HEADER, "The entity tags that the client has.", text()),
        ("Range", HEADER, "One range of bytes; anything else is ignored (RFC 9110).", text()),
        ("If-Range", HEADER, "The entity tag that the range is for.", text()),
        (
            "Idempotency-Key",
            HEADER,
            "A request with the same key and the same content is the same request: 1 to 255 printable ASCII \
             characters, bare or in double quotes.",
            json!({ "type": "string", "pattern": r#"^("[ !#-~]{1,255}"|[!#-~]([ !#-~]{0,253}[!#-~])?)$"# }),
        ),
        ("Content-Digest", HEADER, "SHA-256 of the body (RFC 9530). One that arrives with another is refused.", text()),
        ("traceparent", HEADER, "W3C Trace Context; a broken one is ignored.", text()),
        (
            "X-Request-Id",
            HEADER,
            "Comes back in the answer and in the log if it is 1 to 128 letters, digits and `-_.:`.",
            text(),
        ),
        ("queue", QUERY, "Where it waits; the kind's own queue without it.", name()),
        ("priority", QUERY, "0 to 9, the higher the sooner.", json!({ "type": "integer", "minimum": 0, "maximum": 9 })),
        ("run_at", QUERY, "Not before then.", instant()),
        ("delay", QUERY, "Not before so long from now; not together with `run_at`.", duration()),
        ("start_timeout", QUERY, "It expires if it has not started so long after it may.", duration()),
        ("run_timeout", QUERY, "How long one attempt may run.", duration()),
        ("deadline", QUERY, "No attempt starts after this.", instant()),
        (
            "input_retention",
            QUERY,
            "How long the input is kept after the end; as long as the job without it.",
            duration(),
        ),
        ("result_retention", QUERY, "How long the ended job is kept.", duration()),
        ("max_attempts", QUERY, "How often it is tried.", json!({ "type": "integer", "minimum": 1, "maximum": 1000 })),
        (
            "concurrency_key",
            QUERY,
            "Jobs of the kind with the same key share its limits for each key.",
            schemas::concurrency_key(),
        ),
        ("tags", QUERY, "Labels to find it by; may be repeated.", schemas::tags(settings)),
        ("validate_only", QUERY, "Only say whether it would be accepted.", json!({ "type": "boolean" })),
    ];
    all.into_iter()
        .chain(of_lists(settings))
        .chain(of_parts())
        .chain(of_schedules())
        .chain(of_webhooks())
        .map(|(key, place, description, schema)| {
            let name = key.rsplit('.').next().unwrap_or(key);
            let parameter = json!({
                "name": name, "in": place, "required": place == PATH, "description": description, "schema": schema,
            });
            (key.to_owned(), parameter)
        })
        .collect()
}

/// Of lists of jobs.
fn of_lists(settings: &Settings) -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let (name, instant) = (schemas::name, schemas::instant);
    vec![
        (
            "status",
            QUERY,
            "Only jobs in one of these.",
            json!({ "type": "array", "items": { "enum": Status::ALL.map(Status::as_str) } }),
        ),
        ("query.kind", QUERY, "Only jobs of this kind.", name()),
        ("query.batch", QUERY, "Only jobs of this batch.", schemas::job_id()),
        ("query.queue", QUERY, "Only jobs in this queue.", name()),
        (
            "query.tag",
            QUERY,
            "Only jobs with all of these tags.",
            json!({ "type": "array", "items": schemas::kept_text() }),
        ),
        ("idempotency_key", QUERY, "Only the job of this key.", schemas::kept_text()),
        (
            "error_code",
            QUERY,
            "Only jobs that failed with this code.",
            json!({ "enum": FailureCode::ALL.map(FailureCode::as_str) }),
        ),
        ("since", QUERY, "Only jobs created then or later.", instant()),
        ("until", QUERY, "Only jobs created before then.", instant()),
        ("cursor", QUERY, "`next_cursor` of the page before.", schemas::kept_text()),
        (
            "limit",
            QUERY,
            "How many jobs at most.",
            json!({ "type": "integer", "minimum": 1, "maximum": settings.jobs.page.max(1),
                    "default": crate::http::list_jobs::DEFAULT_LIMIT.min(settings.jobs.page.max(1)) }),
        ),
    ]
}

/// Of what belongs to a job, such as its log and its events.
fn of_parts() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    vec![
        (
            "after",
            QUERY,
            "The number of the last line that was read.",
            json!({ "type": "integer", "minimum": 0, "default": 0 }),
        ),
        (
            "logs.limit",
            QUERY,
            "How many lines at most.",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
        ),
        ("cancel", QUERY, "`true`: cancel it first, if it is live.", json!({ "type": "boolean" })),
        (
            "Last-Event-ID",
            HEADER,
            "The id of the last event that was seen; what is none of ours counts as nothing seen.",
            json!({ "type": "string" }),
        ),
    ]
}

/// Those of schedules.
fn of_schedules() -> [(&'static str, &'static str, &'static str, Value); 4] {
    [
        ("path.schedule", PATH, "The schedule's name.", schemas::name()),
        (
            "runs",
            QUERY,
            "How many of its next runs are told.",
            json!({ "type": "integer", "minimum": 0, "maximum": 100, "default": 5 }),
        ),
        ("schedules.cursor", QUERY, "`next_cursor` of the page before.", schemas::name()),
        (
            "schedules.limit",
            QUERY,
            "How many schedules at most.",
            json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 }),
        ),
    ]
}

/// Those of webhooks and their deliveries.
fn of_webhooks() -> [(&'static str, &'static str, &'static str, Value); 4] {
    [
        (
            "deliveries.limit",
            QUERY,
            "How many deliveries at most.",
            json!({ "type": "integer", "minimum": 1, "maximum": list_deliveries::LARGEST_PAGE,
                    "default": list_deliveries::DEFAULT_LIMIT }),
        ),
        ("deliveries.id", PATH, "The delivery's id.", json!({ "type": "string" })),
        (
            "webhook_url",
            QUERY,
            "Where events are told; see `WebhookRequest`.",
            json!({ "type": "string", "format": "uri" }),
        ),
        (
            "webhook_events",
            QUERY,
            "What is told; every end without them. May be repeated.",
            json!({ "type": "array", "items": { "enum": Event::OF_JOBS.map(Event::as_str) } }),
        ),
    ]
}
