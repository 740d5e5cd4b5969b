//! `PUT /v1/jobs/{id}`: a submit under the client's own id, which makes a repeated request the same request.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::IdempotencyKey;

use super::code::Code;
use super::extract;
use super::openapi::Operation;
use super::problem::{Finding, Problem};
use super::submit_job::submit_body;
use super::submitted::answers;
use super::{Caller, Front};

/// Accepts a job under the id in the path.
pub(crate) async fn put_job(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let Ok(id) = extract::job_id(&request) else {
        return Err(Problem::of_findings(Code::JobIdInvalid, vec![Finding::new("/id", "must be a UUIDv7")]));
    };
    if extract::idempotency_key(&request)?.is_some() {
        let detail = "the id in the path is the key of this request: leave the Idempotency-Key out";
        return Err(Problem::new(Code::IdempotencyKeyInvalid, detail));
    }
    submit_body(request, body, front, caller, Some(IdempotencyKey::of_job(id)), Some(id)).await
}

pub(crate) fn operation() -> Operation {
    let operation = Operation::new("putJob", "jobs", "Submit a job under an id of your own")
        .says(
            "The id is the key: the same id with the same request answers the same job. It must be a UUIDv7, at most 12 \
             hours old and at most 5 minutes ahead.",
        )
        .takes(&["id", "Prefer", "traceparent"])
        .calls("jobWebhook", "{$request.body#/webhook/url}")
        .json_body("Submission", true, &["submission"]);
    answers(operation).fails(&[Code::JobIdInvalid])
}
