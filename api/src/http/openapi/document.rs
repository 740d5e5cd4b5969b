//! All of it put together.

use actix_web::http::Method;
use raincheck_shared::config::Settings;
use serde_json::{Map, Value, json};

use super::operation::{media, problems, reference};
use super::paths::operations;
use super::{headers, parameters, schemas};
use crate::http::access::Need;
use crate::http::code::Code;

const ABOUT: &str = "\
Asynchronous request and reply: submit a job, get a reference, poll, wait or listen for its end, fetch the result.

- 202 means kept: the job is on disk before the answer, and a read after it always finds it.
- Loop on `done`; a status that is not listed here may come to be.
- `HEAD` is answered wherever `GET` is, without the body.
- Whatever is not a success is `application/problem+json` (RFC 9457) with a `code`; each code has a page. Paths that are \
not listed answer 404 `route-not-found`, methods that are not 405 `method-not-allowed` with `Allow`.
- Unknown fields and query parameters are refused, so that a slip of the finger never drops a deadline.
- Durations are a whole number and one of `ms`, `s`, `m`, `h`, `d`; instants are as in RFC 3339, in UTC.
- Answers may gain fields. Requests may not have others than those listed.";

/// What a request to an endpoint needs.
fn need(method: &str, path: &str) -> Need {
    let path = path.replace("{id}", "00000000-0000-7000-8000-000000000000");
    Need::of(&Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or(Method::POST), &path)
}

/// The document for an installation with these settings.
pub(crate) fn document(settings: &Settings) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (path, method, operation) in operations() {
        let item =
            paths.entry(path).or_insert_with(|| json!({ "parameters": [parameters::reference("X-Request-Id")] }));
        let operation = if method == "get" { operation } else { operation.fails(&[Code::OriginNotAllowed]) };
        item[method] = operation.asks_for(need(method, path)).into_value();
    }
    let servers = settings.http.public_url.as_deref().unwrap_or("/");
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "raincheck",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Take a rain check on any slow request",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": servers }],
        "tags": [
            { "name": "jobs", "description": "Submit jobs, and see what comes of them." },
            { "name": "batches", "description": "Jobs that are submitted together." },
            { "name": "kinds", "description": "What can be asked for." },
            { "name": "queues", "description": "How queues stand, and pausing them." },
            { "name": "schedules", "description": "Jobs that are made by a clock." },
            { "name": "leases", "description": "For remote workers: jobs to run, and what came of them." },
            { "name": "webhooks", "description": "What became of what was to be told." },
            { "name": "installation", "description": "The service itself." },
        ],
        "paths": paths,
        "webhooks": { "job": reference("pathItems", "jobWebhook"), "batch": reference("pathItems", "batchWebhook") },
        "components": {
            "pathItems": {
                "jobWebhook": webhook("jobWebhook", "An event of a job", ("WebhookBody", "webhook-body"), "`data.version` tells it"),
                "batchWebhook": webhook("batchWebhook", "A batch has ended", ("BatchWebhookBody", "batch-webhook-body"), "there is but one"),
            },
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "rk_…",
                    "description": "A key made with `raincheck keys create`. None is needed where none was ever made.",
                },
                "ticket": {
                    "type": "apiKey", "in": "query", "name": "ticket",
                    "description": "Reads one job. Issued by `POST /v1/jobs/{id}/tickets`.",
                },
            },
            "schemas": schemas::components(settings),
            "parameters": parameters::components(settings),
            "headers": headers::components(),
            "responses": {
                "RouteNotFound": problems(&[Code::RouteNotFound]),
                "MethodNotAllowed": problems(&[Code::MethodNotAllowed]),
            },
        },
    })
}

/// What receivers are sent.
fn webhook(id: &str, summary: &str, (schema, example): (&str, &str), order: &str) -> Value {
    let header = |name: &str, description: &str| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" } });
    let body = json!({ "required": true, "content": { "application/json": media(&reference("schemas", schema), &[example]) } });
    json!({ "post": {
        "operationId": id,
        "tags": ["webhooks"],
        "summary": summary,
        "description": format!("Sent as Standard Webhooks has it, at least once and in any order: {order}."),
        "parameters": [
            header("webhook-id", "The delivery's id, the same in every attempt."),
            header("webhook-timestamp", "Seconds since 1970, of this attempt."),
            header("webhook-signature", "`v1,` and `v1a,` signatures of `id.timestamp.body`, with spaces between."),
        ],
        "requestBody": body,
        "responses": {
            "2XX": { "description": "Taken." },
            "410": { "description": "Nobody is here any more: no further attempt is made." },
            "default": { "description": "Anything else is tried again; redirects are not followed." },
        },
    } })
}
