//! `POST /v1/jobs`: all of it in one JSON body.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::{IdempotencyKey, JobId};

use super::code::Code;
use super::extract::{self, Prefer, Query};
use super::openapi::Operation;
use super::problem::Problem;
use super::refusals::{Carrier, too_large};
use super::submitted::{answers, submit};
use super::wire::{ReadSubmission, read_submission};
use super::{Caller, Front};
use crate::engine::Submission;

/// What a body may have besides its input, in bytes.
const BESIDES_INPUT: u64 = 128 * 1024;

/// Accepts a job.
pub(crate) async fn submit_job(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let key = extract::idempotency_key(&request)?;
    submit_body(request, body, front, caller, key, None).await
}

/// Accepts what a body says, under a key and an id of the client's own, if there are any.
pub(crate) async fn submit_body(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    id: Option<JobId>,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    extract::json_body(&request)?;
    let prefer = Prefer::of(&request);
    // All of it is in memory and looked at as a whole.
    let (max_input, _) = front.desk.input_limits("application/json");
    let body = extract::read_body(&request, body, max_input + BESIDES_INPUT).await?;
    let ReadSubmission { kind, input, options, findings } = read_submission(&body)?;
    if input.bytes.len() as u64 > max_input {
        return Err(too_large(max_input));
    }
    let Some(kind) = kind else { return Err(Problem::of_findings(Code::InputInvalid, findings)) };
    let traceparent = extract::traceparent(&request);
    let tenant = caller.tenant;
    let submission = Submission { tenant, kind, input: input.into(), options, key, id, retry_of: None, traceparent };
    submit(front, Carrier::JsonBody, submission, findings, prefer, prefer.wait).await
}

pub(crate) fn operation() -> Operation {
    let operation = Operation::new("submitJob", "jobs", "Submit a job")
        .says(
            "202 means kept. 200 and 202 carry the same body, the whole job. A job that failed within the wait is still \
             200, with `status: \"failed\"`. A client that goes away never cancels the job.",
        )
        .takes(&["Prefer", "Idempotency-Key", "traceparent"])
        .calls("jobWebhook", "{$request.body#/webhook/url}")
        .json_body("Submission", true, &["submission"]);
    answers(operation)
}
