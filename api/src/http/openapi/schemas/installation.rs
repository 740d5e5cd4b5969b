//! The service itself, and problems.

use serde_json::{Value, json};

use super::shapes::{answer, instant, text};

/// Their schemas by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Problem", problem()),
        ("Ticket", ticket()),
        ("Index", index()),
        ("Alive", answer(&json!({ "status": { "const": "alive" } }))),
        ("Readiness", readiness()),
    ]
}

fn problem() -> Value {
    let mut schema = answer(&json!({
        "type": { "type": "string", "format": "uri-reference", "description": "The page of the code." },
        "title": text(),
        "status": { "type": "integer", "minimum": 400, "maximum": 599 },
        "detail": { "type": "string", "description": "What there is to say about this case." },
        "instance": { "type": "string", "description": "The path of the request." },
        "code": { "type": "string", "pattern": "^[a-z]+(-[a-z]+)*$" },
        "retryable": { "type": "boolean", "description": "Whether the very same request may succeed later." },
        "request_id": text(),
    }));
    schema["properties"]["job_id"] =
        json!({ "type": "string", "format": "uuid", "description": "The job it is about." });
    schema["properties"]["errors"] = json!({
        "type": "array", "minItems": 1, "maxItems": 50, "description": "All that is wrong with the request.",
        "items": answer(&json!({
            "pointer": { "type": "string", "description": "A JSON pointer into the body, or `/` and the name of a parameter." },
            "detail": text(),
        })),
    });
    schema
}

fn ticket() -> Value {
    answer(&json!({
        "ticket": { "type": "string", "pattern": "^rt_" },
        "expires_at": instant(),
        "links": answer(&json!({ "self": text(), "result": text(), "events": text() })),
    }))
}

fn index() -> Value {
    answer(&json!({
        "name": { "const": "raincheck" },
        "version": text(),
        "links": { "type": "object", "additionalProperties": text() },
    }))
}

fn readiness() -> Value {
    answer(&json!({
        "status": { "enum": ["ready", "degraded"], "description": "Degraded: slower than usual; nothing is lost." },
        "store": { "const": "ok" },
        "broker": { "enum": ["ok", "down"] },
        "loops": { "type": "object", "additionalProperties": { "enum": ["ok", "failing"] } },
    }))
}
