//! `POST /v1/kinds/{kind}/jobs`: the body is the input, byte for byte; options are query parameters.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::Payload;
use serde_json::json;

use super::extract::{self, Prefer, Query};
use super::openapi::Operation;
use super::problem::Problem;
use super::refusals::Carrier;
use super::submitted::{answers, submit};
use super::wire::{read_duration, read_options};
use super::{Caller, Front};
use crate::engine::Submission;

/// Accepts a job.
pub(crate) async fn submit_raw(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let kind = request.match_info().get("kind").unwrap_or_default().to_owned();
    let mut query = Query::of(&request)?;
    let options = read_options(&mut query);
    let wait = query.parsed("wait", read_duration);
    let findings = query.finish();
    let content_type = extract::raw_body(&request)?;
    let key = extract::idempotency_key(&request)?;
    let prefer = Prefer::of(&request);
    let bytes = extract::read_body(&request, body, front.desk.settings().jobs.max_input).await?;
    let input = Payload { content_type, bytes };
    let traceparent = extract::traceparent(&request);
    let tenant = caller.tenant;
    let submission = Submission { tenant, kind, input, options, key, id: None, retry_of: None, traceparent };
    submit(front, Carrier::Query, submission, findings, prefer, prefer.wait.or(wait)).await
}

pub(crate) fn operation(id: &'static str) -> Operation {
    let operation = Operation::new(id, "jobs", "Submit a job whose input is the body")
        .says("The body is the input as it is, whatever it is: `curl -T photo.jpg …`. Options are query parameters.")
        .takes(&["kind", "wait", "Prefer", "Idempotency-Key", "traceparent"])
        .takes(&["queue", "priority", "run_at", "delay", "start_timeout", "run_timeout", "deadline"])
        .takes(&["input_retention", "result_retention", "max_attempts", "tags", "validate_only"])
        .takes(&["webhook_url", "webhook_events"])
        .body(json!({ "required": false, "content": { "*/*": { "schema": {} } } }));
    answers(operation)
}
