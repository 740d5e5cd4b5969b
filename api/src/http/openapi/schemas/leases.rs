//! Leases: what remote workers ask for, get and say.

use serde_json::{Value, json};

use super::shapes::{
    answer, bounded_text, count, described, duration, instant, job_id, kept_text, links, name, of, or_null, request,
    text,
};
use crate::http::wire::{LONGEST_MESSAGE, LONGEST_NAME, MOST_LEASES, MOST_LINES};

/// Their schemas by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("LeaseRequest", lease_request()),
        ("Leases", answer(&json!({ "leases": { "type": "array", "minItems": 1, "items": of("Lease") } }))),
        ("Lease", lease()),
        ("LeasedInput", input()),
        ("Nothing", request(&json!({}))),
        ("RenewedLease", renewed()),
        ("ProgressRequest", progress_request()),
        ("LogRequest", request(&json!({ "lines": { "type": "array", "maxItems": MOST_LINES, "items": text() } }))),
        ("FailRequest", fail_request()),
        ("ReleaseRequest", release_request()),
        ("EndedLease", ended()),
    ]
}

fn bounded(longest: usize) -> Value {
    bounded_text(1, u32::try_from(longest).unwrap_or(u32::MAX))
}

fn lease_request() -> Value {
    let names = |what: &str| json!({ "type": "array", "minItems": 1, "items": name(), "description": what });
    request(&json!({
        "kinds": names("Kinds that say `remote = true`; all of them without it."),
        "queues": names("Queues; all of them without it."),
        "max": { "type": "integer", "minimum": 1, "maximum": MOST_LEASES, "default": 1 },
        "ttl": described(&duration(), "How long a lease lasts from each sign of life: 1s to 1h, 30s without it."),
        "worker": described(&bounded(LONGEST_NAME), "The worker's name, for people."),
    }))
}

fn lease() -> Value {
    answer(&json!({
        "token": described(&text(), "Stands for the lease in the paths of all that follows."),
        "job_id": job_id(),
        "kind": name(),
        "queue": name(),
        "attempt": count(1),
        "max_attempts": count(1),
        "expires_at": described(&instant(), "The lease is lost then, unless there is a sign of life before."),
        "run_until": described(&instant(), "The attempt may run until then, whatever signs of life come."),
        "deadline": or_null(&described(&instant(), "No further attempt starts after this.")),
        "heartbeat_every_ms": described(&count(1), "How often a sign of life is wanted."),
        "input": of("LeasedInput"),
        "traceparent": or_null(&text()),
        "links": links(&["heartbeat", "progress", "logs", "complete", "fail", "release", "input", "job"]),
    }))
}

fn input() -> Value {
    json!({
        "type": "object",
        "required": ["content_type", "size"],
        "properties": {
            "content_type": text(),
            "size": count(0),
            "value": { "description": "The input, when it is JSON or text and short; text is a string." },
            "url": { "type": "string", "format": "uri-reference", "description": "Where it is read otherwise." },
        },
    })
}

fn renewed() -> Value {
    answer(&json!({
        "job_id": job_id(),
        "expires_at": instant(),
        "run_until": instant(),
        "cancel_requested": { "type": "boolean", "description": "A client asked that the job stop: end it soon, in any way." },
        "cancel_reason": or_null(&text()),
    }))
}

fn progress_request() -> Value {
    let mut schema =
        request(&json!({ "message": bounded_text(0, u32::try_from(LONGEST_MESSAGE).unwrap_or(u32::MAX)) }));
    schema["properties"]["percent"] = json!({ "type": "number", "minimum": 0, "maximum": 100 });
    schema["required"] = json!(["percent"]);
    schema
}

fn fail_request() -> Value {
    let mut schema = request(&json!({
        "retryable": { "type": "boolean", "default": true, "description": "Whether another attempt could mend it." },
        "retry_after": described(&duration(), "How long until then; as the kind's `backoff` says without it."),
        "detail": described(&kept_text(), "What else there is to say, for people; the last 8 KiB are kept."),
    }));
    let mut message = kept_text();
    message["minLength"] = json!(1);
    let says = format!("Why, in a line; the first {LONGEST_MESSAGE} characters are kept.");
    schema["properties"]["message"] = described(&message, &says);
    schema["required"] = json!(["message"]);
    schema
}

fn release_request() -> Value {
    request(&json!({ "delay": described(&duration(), "The job waits no less than that before it is leased again.") }))
}

fn ended() -> Value {
    let ends = ["succeeded", "failed", "retrying", "canceled", "queued"];
    answer(&json!({ "job_id": job_id(), "status": { "type": "string", "enum": ends }, "version": count(1) }))
}
