//! Kinds: what can be asked for.

use serde_json::{Value, json};

use super::shapes::{answer, count, described, duration, links, name, of, or_null, text};

/// Their schemas by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("Kind", kind()), ("Kinds", answer(&json!({ "kinds": { "type": "array", "items": of("Kind") } })))]
}

fn kind() -> Value {
    answer(&json!({
        "name": name(),
        "description": or_null(&text()),
        "queue": described(&name(), "Where its jobs wait unless the client says otherwise."),
        "content_types": { "type": "array", "items": text(), "description": "Media types of inputs; none: any." },
        "input_schema": { "description": "The JSON Schema that inputs must meet; `null`: none." },
        "limits": limits(),
        "timeouts": answer(&json!({ "run": described(&duration(), "How long one attempt may run.") })),
        "retention": answer(&json!({ "result": described(&duration(), "How long its ended jobs are kept.") })),
        "max_attempts": count(1),
        "run_time": or_null(&answer(&json!({ "p50_ms": count(0), "p95_ms": count(0), "sample": count(1) }))),
        "links": links(&["self", "submit"]),
    }))
}

fn limits() -> Value {
    let mut limits = answer(&json!({
        "input_bytes": count(1),
        "output_bytes": count(1),
        "run_timeout": duration(),
        "retention": duration(),
        "metadata_pairs": count(0),
        "tags": count(0),
    }));
    let rate = |of: &str| {
        let rate = json!({ "type": "string", "pattern": "^[0-9]+/[0-9]*[smhd]$", "examples": ["10/s", "5/30s"] });
        described(&rate, &format!("{of} that start in so long, over all workers; not there: any number."))
    };
    let at_once =
        |of: &str| described(&count(1), &format!("{of} that run at once, over all workers; not there: any number."));
    // There where they are set.
    limits["properties"]["concurrent_jobs"] = at_once("Jobs");
    limits["properties"]["rate"] = rate("Jobs");
    limits["properties"]["concurrent_per_key"] = at_once("Jobs of one tenant and `concurrency_key`");
    limits["properties"]["rate_per_key"] = rate("Jobs of one tenant and `concurrency_key`");
    limits
}
