//! `POST /v1/jobs/{id}/retry`: a job that ended without a result once more, as a new job.

use actix_web::{HttpRequest, HttpResponse, web};

use super::code::Code;
use super::extract::{self, Prefer};
use super::openapi::Operation;
use super::problem::Problem;
use super::refusals::Carrier;
use super::submitted::{answer, answers, submit};
use super::wire::read_retry;
use super::{Caller, Front};
use crate::engine::{Retry, Submitted};

/// Options, and nothing large.
const LARGEST_BODY: u64 = 128 * 1024;

/// Accepts the new job. The body may hold options that are to be different this time.
pub(crate) async fn retry_job(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    let key = extract::idempotency_key(&request)?;
    let prefer = Prefer::of(&request);
    let body = extract::command_body(&request, body, LARGEST_BODY).await?;
    let (options, findings) = read_retry(&body)?;
    if !findings.is_empty() {
        return Err(Problem::of_findings(Code::InputInvalid, findings));
    }
    match front.desk.retry(caller.tenant.clone(), id, options, key, extract::traceparent(&request)).await? {
        Retry::Submission(submission) => {
            submit(front, Carrier::JsonBody, *submission, findings, prefer, prefer.wait).await
        }
        Retry::Repeated(first) => {
            let granted = front.granted(prefer.wait);
            let job = front.desk.wait(&caller.tenant, first, None, granted).await?;
            answer(&front, &Submitted { job, replayed: true, level: None }, prefer, prefer.wait.map(|_| granted))
        }
    }
}

pub(crate) fn operation() -> Operation {
    let operation = Operation::new("retryJob", "jobs", "Try an ended job once more")
        .says(
            "A new job of the same kind, input and options, which names the old one in `retry_of`. The body holds options \
             that are to be different. Only what ended without a result is tried once more.",
        )
        .takes(&["id", "Prefer", "Idempotency-Key", "traceparent"])
        .calls("jobWebhook", "{$request.body#/webhook/url}")
        .json_body("Retry", false, &["retry-request"]);
    answers(operation).fails(&[
        Code::JobNotFound,
        Code::JobExpired,
        Code::JobNotFinished,
        Code::JobSucceeded,
        Code::InputExpired,
    ])
}
