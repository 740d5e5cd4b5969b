//! Jobs: what is submitted, and what is shown.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{Event, Failure, FailureCode, Status};
use serde_json::{Value, json};

use super::shapes::{
    answer, bounded_text, count, described, duration, instant, job_id, links, name, of, or_null, page, request, text,
};
use crate::http::redrive::{DEFAULT, MOST};

/// Their schemas by name.
pub(super) fn schemas(settings: &Settings) -> Vec<(&'static str, Value)> {
    vec![
        ("Submission", submission(settings)),
        ("Retry", options(settings)),
        ("Redrive", redrive()),
        ("Redriven", redriven()),
        ("Valid", valid()),
        ("Job", job()),
        ("JobSummary", job_summary()),
        ("JobPage", page("jobs", "JobSummary")),
        ("JobLinks", links(&["self", "result", "events", "logs", "cancel", "retry"])),
        ("Status", json!({ "type": "string", "enum": Status::ALL.map(Status::as_str) })),
        ("Estimate", estimate()),
        ("LogPage", log_page()),
        ("Progress", progress()),
        ("Cancel", cancel()),
        ("Result", result()),
        ("Failure", failure()),
        ("FailedAttempt", failed_attempt()),
        ("CancelRequest", cancel_request()),
    ]
}

pub(in super::super) fn tags(settings: &Settings) -> Value {
    json!({ "type": "array", "items": bounded_text(1, 128), "maxItems": settings.jobs.max_tags, "uniqueItems": true })
}

pub(in super::super) fn concurrency_key() -> Value {
    bounded_text(1, 255)
}

fn submission(settings: &Settings) -> Value {
    let mut schema = options(settings);
    schema["properties"]["kind"] = name();
    schema["properties"]["input"] =
        json!({ "description": "What the handler is given, byte for byte; it must meet the kind's schema." });
    schema["required"] = json!(["kind"]);
    schema
}

/// What a submission holds besides its kind and input.
pub(super) fn options(settings: &Settings) -> Value {
    request(&json!({
        "queue": name(),
        "priority": { "type": "integer", "minimum": 0, "maximum": 9, "default": 5, "description": "The higher the sooner." },
        "run_at": { "type": "string", "format": "date-time", "description": "Not before then." },
        "delay": described(&duration(), "Not before so long from now; not together with `run_at`."),
        "timeouts": request(&json!({
            "start": described(&duration(), "It expires if it has not started so long after it may."),
            "run": described(&duration(), "How long one attempt may run."),
        })),
        "deadline": { "type": "string", "format": "date-time", "description": "No attempt starts after this." },
        "retention": request(&json!({
            "input": described(&duration(), "How long the input is kept after the end; as long as the job without it."),
            "result": described(&duration(), "How long the ended job is kept."),
        })),
        "max_attempts": { "type": "integer", "minimum": 1, "maximum": 1000 },
        "metadata": {
            "type": "object", "maxProperties": settings.jobs.max_metadata,
            "propertyNames": bounded_text(1, 64), "additionalProperties": bounded_text(0, 512),
        },
        "tags": tags(settings),
        "concurrency_key": described(&concurrency_key(), "Jobs of the kind with the same key share its limits for each key."),
        "webhook": described(&of("WebhookRequest"), "Whom events are told."),
        "validate_only": { "type": "boolean", "description": "Only say whether it would be accepted; nothing is kept." },
    }))
}

/// Which failed jobs to try once more.
fn redrive() -> Value {
    request(&json!({
        "filter": request(&json!({
            "kind": name(),
            "queue": name(),
            "error_code": { "type": "string", "enum": FailureCode::ALL.map(FailureCode::as_str) },
            "since": { "type": "string", "format": "date-time", "description": "Created then or later." },
            "until": { "type": "string", "format": "date-time", "description": "Created before then." },
            "tags": { "type": "array", "items": text(), "description": "With all of these tags." },
        })),
        "limit": { "type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT },
        "dry_run": { "type": "boolean", "description": "Only say which; nothing is made." },
        "cursor": described(&text(), "`next_cursor` of the answer before."),
    }))
}

fn redriven() -> Value {
    answer(&json!({
        "dry_run": { "type": "boolean" },
        "count": count(0),
        "jobs": { "type": "array", "items": answer(&json!({
            "id": described(&job_id(), "The job that had failed."),
            "retried_by": or_null(&described(&job_id(), "The new one; `null` in a dry run.")),
        })) },
        "refused": { "type": "array", "items": answer(&json!({
            "id": job_id(),
            "problem": of("ItemProblem"),
        })) },
        "next_cursor": or_null(&described(&text(), "Where to go on; `null`: all were looked at.")),
    }))
}

/// What would be accepted.
fn valid() -> Value {
    answer(&json!({
        "valid": { "const": true },
        "kind": name(),
        "queue": name(),
        "priority": { "type": "integer", "minimum": 0, "maximum": 9 },
        "run_at": or_null(&instant()),
        "start_by": or_null(&described(&instant(), "It expires if it has not started by then.")),
        "deadline": or_null(&instant()),
        "timeouts": answer(&json!({ "run": duration() })),
        "retention": answer(&json!({ "input": duration(), "result": duration() })),
        "max_attempts": count(1),
        "retry_of": or_null(&job_id()),
        "metadata": { "type": "object", "additionalProperties": text() },
        "tags": { "type": "array", "items": text() },
        "concurrency_key": or_null(&text()),
        "webhook": or_null(&answer(&json!({
            "url": text(),
            "events": { "type": "array", "items": { "enum": Event::OF_JOBS.map(Event::as_str) } },
        }))),
        "input": answer(&json!({ "content_type": text(), "size": count(0) })),
    }))
}

fn job_summary() -> Value {
    answer(&json!({
        "id": job_id(),
        "kind": name(),
        "queue": name(),
        "version": { "type": "integer", "minimum": 1, "description": "Rises by one at every visible change; the same number as in the ETag." },
        "status": of("Status"),
        "done": { "type": "boolean", "description": "Whether it has ended: nothing will change it any more." },
        "created_at": instant(),
        "run_at": or_null(&described(&instant(), "Not before then, as asked.")),
        "started_at": or_null(&described(&instant(), "When the latest attempt started.")),
        "finished_at": or_null(&instant()),
        "attempt": { "type": "integer", "minimum": 0, "description": "Attempts that count so far, the running one included." },
        "max_attempts": count(1),
        "progress": or_null(&of("Progress")),
        "error": or_null(&of("Failure")),
        "expires_at": or_null(&described(&instant(), "When it will be forgotten, once it has ended.")),
        "idempotency_key": or_null(&text()),
        "concurrency_key": or_null(&described(&text(), "Its client's key for limits.")),
        "retry_of": or_null(&described(&job_id(), "The job that this one repeats.")),
        "batch_id": or_null(&described(&job_id(), "The batch that it belongs to.")),
        "metadata": { "type": "object", "additionalProperties": text() },
        "tags": { "type": "array", "items": text() },
        "links": of("JobLinks"),
    }))
}

fn job() -> Value {
    let mut schema = job_summary();
    let more = json!({
        "heartbeat_at": or_null(&described(&instant(), "When the worker that runs it last showed that it lives.")),
        "next_attempt_at": or_null(&described(&instant(), "When the next attempt is due, while `retrying`.")),
        "queue_position": { "type": ["integer", "null"], "minimum": 1, "description": "About how many go before it, itself included, while it is queued." },
        "estimate": or_null(&of("Estimate")),
        "poll_after_ms": { "type": ["integer", "null"], "minimum": 1000, "description": "How long to wait before reading again; `null` once it has ended." },
        "cancel": or_null(&of("Cancel")),
        "result": or_null(&of("Result")),
        "attempts": { "type": "array", "items": of("FailedAttempt"), "description": "Attempts that failed, oldest first." },
        "erased_at": or_null(&described(&instant(), "When its input, output and logs were erased.")),
        "deadline": or_null(&instant()),
        "webhook": or_null(&described(&of("Webhook"), "What became of what was to be told; `null` without a wish, and in what webhooks are told.")),
        "trace_id": { "type": ["string", "null"], "pattern": "^[0-9a-f]{32}$" },
    });
    for (name, field) in more.as_object().into_iter().flatten() {
        schema["properties"][name] = field.clone();
    }
    answer(&schema["properties"])
}

fn estimate() -> Value {
    answer(&json!({
        "start_at": or_null(&described(&instant(), "`null`: it has started, or nobody can tell.")),
        "finish_at": or_null(&described(&instant(), "`null`: nobody can tell.")),
        "basis": described(&text(), "What this goes by, in words."),
    }))
}

fn log_page() -> Value {
    let line = answer(&json!({ "number": count(1), "at": instant(), "attempt": count(0), "line": text() }));
    answer(&json!({
        "lines": { "type": "array", "items": line },
        "last": { "type": "integer", "minimum": 0, "description": "What `after` is for the next page." },
        "complete": { "type": "boolean", "description": "Whether nothing comes after that any more." },
    }))
}

fn progress() -> Value {
    answer(&json!({ "percent": { "type": "number", "minimum": 0, "maximum": 100 }, "message": or_null(&text()) }))
}

fn cancel() -> Value {
    answer(&json!({
        "requested_at": instant(),
        "reason": or_null(&text()),
        "acknowledged_at": or_null(&described(
            &instant(),
            "When the handler was known to have stopped; `null` on a canceled job: that could not be proved.",
        )),
    }))
}

fn result() -> Value {
    let mut schema = answer(&json!({
        "content_type": text(),
        "size": { "type": "integer", "minimum": 0, "description": "Bytes." },
        "digest": { "type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$" },
    }));
    schema["properties"]["value"] =
        json!({ "description": "What it made, when that is small enough and JSON or text." });
    schema["properties"]["url"] =
        json!({ "type": "string", "format": "uri-reference", "description": "Where to read it otherwise." });
    schema["oneOf"] = json!([{ "required": ["value"] }, { "required": ["url"] }]);
    schema
}

fn failure() -> Value {
    let mut schema = answer(&json!({
        "code": { "type": "string", "enum": [
            "handler-error", "run-timeout", "worker-lost", "attempts-exhausted", "output-too-large", "upstream-status",
        ] },
        "message": text(),
        "retryable": { "type": "boolean", "description": "Whether another attempt could have mended it." },
        "attempt": count(0),
    }));
    schema["properties"]["detail"] = json!({
        "type": "string", "maxLength": Failure::DETAIL_LIMIT,
        "description": "What the handler or upstream itself said; the end of it.",
    });
    schema
}

fn failed_attempt() -> Value {
    answer(&json!({
        "started_at": or_null(&instant()),
        "ended_at": instant(),
        "worker": { "type": ["string", "null"], "format": "uuid" },
        "error": of("Failure"),
    }))
}

fn cancel_request() -> Value {
    request(&json!({ "reason": bounded_text(0, 512) }))
}
