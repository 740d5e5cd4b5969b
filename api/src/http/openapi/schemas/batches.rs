//! Batches: what is submitted together, and how it stands.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::Event;
use serde_json::{Value, json};

use super::shapes::{answer, count, described, instant, job_id, links, of, or_null, request, text};
use super::webhooks::webhook_request;

/// Their schemas by name.
pub(super) fn schemas(settings: &Settings) -> Vec<(&'static str, Value)> {
    vec![
        ("BatchSubmission", submission(settings)),
        ("BatchAnswer", answered()),
        ("BatchEntry", entry()),
        ("ItemProblem", problem()),
        ("BatchLinks", links(&["self", "jobs", "cancel", "deliveries"])),
        ("BatchWebhookRequest", webhook_request(&Event::OF_BATCHES, &Event::OF_BATCHES)),
        ("Batch", batch()),
    ]
}

fn submission(settings: &Settings) -> Value {
    let mut schema = request(&json!({
        "validate_only": { "type": "boolean", "description": "Only say what would be accepted of all of them." },
    }));
    schema["properties"]["jobs"] = json!({
        "type": "array", "minItems": 1, "maxItems": settings.jobs.batch,
        // Whatever it is: an item that is no job is refused on its own, and its neighbours are kept.
        "items": {},
        "description": "As in `POST /v1/jobs`, each with an `idempotency_key` of its own if it wants. What is no job is refused on its own.",
    });
    schema["properties"]["webhook"] =
        or_null(&described(&of("BatchWebhookRequest"), "Where the end of the last job is to be told."));
    schema["required"] = json!(["jobs"]);
    schema
}

fn answered() -> Value {
    answer(&json!({
        "id": or_null(&described(&job_id(), "The batch; `null`: nothing was kept.")),
        "accepted": count(0),
        "refused": count(0),
        "items": { "type": "array", "items": of("BatchEntry") },
        "links": or_null(&of("BatchLinks")),
    }))
}

fn entry() -> Value {
    let mut schema = answer(&json!({
        "index": count(0),
        "status": { "type": "integer", "minimum": 200, "maximum": 599, "description": "As a request of its own would have had." },
    }));
    schema["properties"]["job"] = of("Job");
    schema["properties"]["replayed"] =
        json!({ "type": "boolean", "description": "Whether the job was made by an earlier request." });
    schema["properties"]["plan"] = of("Valid");
    schema["properties"]["problem"] = of("ItemProblem");
    schema["oneOf"] = json!([{ "required": ["job"] }, { "required": ["plan"] }, { "required": ["problem"] }]);
    schema
}

fn problem() -> Value {
    let mut schema = answer(&json!({
        "type": { "type": "string", "format": "uri-reference" },
        "title": text(),
        "status": { "type": "integer", "minimum": 400, "maximum": 599 },
        "detail": text(),
        "code": { "type": "string", "pattern": "^[a-z]+(-[a-z]+)*$" },
        "retryable": { "type": "boolean" },
    }));
    schema["properties"]["job_id"] = job_id();
    schema["properties"]["errors"] = json!({
        "type": "array", "items": answer(&json!({ "pointer": text(), "detail": text() })),
    });
    schema
}

fn batch() -> Value {
    let counts = ["scheduled", "queued", "in_progress", "retrying", "succeeded", "failed", "canceled", "expired"];
    let counts: serde_json::Map<String, Value> = counts.iter().map(|name| ((*name).to_owned(), count(0))).collect();
    answer(&json!({
        "id": job_id(),
        "done": { "type": "boolean", "description": "Whether all of its jobs have ended." },
        "total": described(&count(1), "Its jobs."),
        "counts": answer(&Value::Object(counts)),
        "progress": answer(&json!({ "percent": { "type": "number", "minimum": 0, "maximum": 100 }, "ended": count(0) })),
        "created_at": instant(),
        "cancel_requested_at": or_null(&instant()),
        "finished_at": or_null(&instant()),
        "expires_at": or_null(&instant()),
        "webhook": described(&or_null(&of("Webhook")), "`null`: nobody is told."),
        "idempotency_key": or_null(&text()),
        "links": of("BatchLinks"),
    }))
}
