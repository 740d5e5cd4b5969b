//! Answers that the service really gave. `tests/api/openapi/examples.rs` asks for them again, compares, and writes them
//! anew when told to; ids and instants in them are made the same each time.

use serde_json::Value;

/// An example by the name of its file.
pub(super) fn example(name: &str) -> Option<Value> {
    let (_, text) = ALL.iter().find(|(known, _)| *known == name)?;
    serde_json::from_str(text).ok()
}

macro_rules! examples {
    ($($name:literal),* $(,)?) => {
        /// Name and text.
        const ALL: &[(&str, &str)] = &[$(($name, include_str!(concat!("examples/", $name, ".json")))),*];
    };
}

examples! {
    "batch",
    "batch-answer",
    "batch-submission",
    "batch-webhook-body",
    "cancel-request",
    "completion-failure",
    "delivery",
    "delivery-page",
    "fail-request",
    "index",
    "job-asked-to-stop",
    "job-canceled",
    "job-failed",
    "job-queued",
    "job-scheduled",
    "job-succeeded",
    "key-set",
    "kind",
    "kinds",
    "lease-ended",
    "lease-renewed",
    "lease-request",
    "leases",
    "livez",
    "log-page",
    "log-request",
    "nothing",
    "page",
    "problem-deadline-in-past",
    "problem-idempotency-key-invalid",
    "problem-idempotency-key-reused",
    "problem-input-invalid",
    "problem-invalid-cursor",
    "problem-job-already-finished",
    "problem-job-expired",
    "problem-job-failed",
    "problem-job-not-finished",
    "problem-job-not-found",
    "problem-kind-not-found",
    "problem-malformed-request",
    "problem-method-not-allowed",
    "problem-not-acceptable",
    "problem-origin-not-allowed",
    "problem-payload-too-large",
    "problem-queue-full",
    "problem-range-not-satisfiable",
    "problem-route-not-found",
    "problem-schedule-configured",
    "problem-schedule-not-found",
    "problem-store-unavailable",
    "problem-unsupported-media-type",
    "progress-request",
    "queue",
    "queues",
    "readyz",
    "redrive-request",
    "redriven",
    "release-request",
    "retry-request",
    "schedule-made",
    "schedule-page",
    "schedule-preview",
    "schedule-request",
    "submission",
    "ticket",
    "valid",
    "webhook-body",
}
