//! Webhooks: what can be wished for, what is told, and what became of it.

use raincheck_shared::domain::{DeliveryAttempt, DeliveryState, Event};
use serde_json::{Value, json};

use super::shapes::{answer, count, described, instant, job_id, links, of, or_null, page, request, text};

/// Their schemas by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("WebhookRequest", webhook_request(&Event::OF_JOBS, &Event::ENDS)),
        ("Webhook", webhook()),
        ("WebhookBody", webhook_body(&Event::OF_JOBS, "Job")),
        ("BatchWebhookBody", webhook_body(&Event::OF_BATCHES, "Batch")),
        ("Delivery", delivery()),
        ("DeliveryAttempt", delivery_attempt()),
        ("DeliveryPage", page("deliveries", "Delivery")),
        ("KeySet", key_set()),
    ]
}

fn events(events: impl Iterator<Item = Event>) -> Value {
    json!({ "type": "string", "enum": events.map(Event::as_str).collect::<Vec<_>>() })
}

fn states() -> Value {
    json!({ "type": "string", "enum": DeliveryState::ALL.map(DeliveryState::as_str) })
}

fn status() -> Value {
    or_null(&json!({ "type": "integer", "minimum": 100, "maximum": 999 }))
}

/// What a client wishes to be told, and where.
pub(super) fn webhook_request(known: &[Event], without: &[Event]) -> Value {
    let without: Vec<&str> = without.iter().map(|event| event.as_str()).collect();
    let mut schema = request(&json!({
        "events": {
            "type": "array", "items": events(known.iter().copied()), "uniqueItems": true, "default": without,
            "description": "What is told; every end without them.",
        },
    }));
    // Of all fields of a request the only one that cannot be null.
    schema["properties"]["url"] = json!({
        "type": "string", "format": "uri", "maxLength": 2048,
        "description": "An https URL whose host has public addresses only, or is allowed in `webhooks.allow`.",
    });
    schema["required"] = json!(["url"]);
    schema
}

/// What became of the latest delivery.
fn webhook() -> Value {
    let mut known: Vec<&str> = DeliveryState::ALL.iter().map(|state| state.as_str()).collect();
    known.push("none");
    answer(&json!({
        "state": {
            "type": "string", "enum": known,
            "description": "Where the latest delivery stands; `none` when the job ended in a way that nobody wished to hear of.",
        },
        "attempts": count(0),
        "last_status": described(&status(), "What the receiver answered last."),
    }))
}

fn webhook_body(known: &[Event], of_what: &str) -> Value {
    answer(&json!({
        "type": events(known.iter().copied()),
        "timestamp": described(&instant(), "When it happened."),
        "data": of(of_what),
    }))
}

fn delivery() -> Value {
    answer(&json!({
        "id": {
            "type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9]+$",
            "description": "The `webhook-id` that the receiver sees, the same in every attempt.",
        },
        "job_id": or_null(&described(&job_id(), "Of what job; `null`: it is of a batch.")),
        "batch_id": or_null(&described(&job_id(), "Of what batch; `null`: it is of a job.")),
        "version": or_null(&described(&count(1), "The version that the event gave the job.")),
        "event": events(Event::all()),
        "url": { "type": "string", "format": "uri" },
        "state": states(),
        "created_at": instant(),
        "next_attempt_at": or_null(&described(&instant(), "When the next attempt is due, while it is pending.")),
        "attempt": described(&count(0), "Attempts so far."),
        "attempts": {
            "type": "array", "items": of("DeliveryAttempt"), "maxItems": DeliveryAttempt::KEPT,
            "description": "The latest ones, oldest first.",
        },
        "links": links(&["job", "batch", "redeliver"]),
    }))
}

fn delivery_attempt() -> Value {
    answer(&json!({
        "at": instant(),
        "latency_ms": count(0),
        "status": described(&status(), "What the receiver answered; `null`: nothing."),
        "response": or_null(&described(&text(), "The first kibibyte of the answer's body.")),
        "error": or_null(&described(&text(), "Why it was no success.")),
    }))
}

/// RFC 7517, of Ed25519 keys only.
fn key_set() -> Value {
    let key = answer(&json!({
        "kty": { "const": "OKP" },
        "crv": { "const": "Ed25519" },
        "x": text(),
        "kid": text(),
        "alg": { "const": "EdDSA" },
        "use": { "const": "sig" },
    }));
    answer(&json!({ "keys": { "type": "array", "items": key } }))
}
