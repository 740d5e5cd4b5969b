//! What both ways to submit have in common: the answer.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};

use super::Front;
use super::answer::{JobAnswer, NO_STORE, json};
use super::code::Code;
use super::extract::Prefer;
use super::openapi::{Answer, Operation};
use super::problem::{Finding, Problem};
use super::refusals::Carrier;
use super::wire::PlanView;
use crate::engine::{Submission, SubmitError, Submitted};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Submits what was read, unless something was wrong with its shape, and answers.
pub(crate) async fn submit(
    front: web::Data<Front>,
    carrier: Carrier,
    submission: Submission,
    findings: Vec<Finding>,
    prefer: Prefer,
    wait: Option<Duration>,
) -> Result<HttpResponse, Problem> {
    if !findings.is_empty() {
        // All that is wrong is told at once, so look at the rest as well.
        return Err(match front.desk.check(&submission).await {
            Ok(_) => Problem::of_findings(Code::InputInvalid, findings),
            Err(rejection) => carrier.problem(findings, rejection),
        });
    }
    if submission.options.validate_only {
        let plan = front.desk.check(&submission).await.map_err(|rejection| carrier.problem(findings, rejection))?;
        let free = front.desk.check_id_is_free(submission.id).await;
        free.map_err(|error| submit_error(carrier, Vec::new(), error))?;
        return json(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, NO_STORE)), &PlanView::new(&plan));
    }
    let granted = front.granted(wait);
    let submitted =
        front.desk.submit(&submission, granted).await.map_err(|error| submit_error(carrier, findings, error))?;
    answer(&front, &submitted, prefer, wait.map(|_| granted))
}

/// The answer about a job that was accepted, now or before. `waited`: the wait that was granted.
pub(crate) fn answer(
    front: &Front,
    submitted: &Submitted,
    prefer: Prefer,
    waited: Option<Duration>,
) -> Result<HttpResponse, Problem> {
    let job = &*submitted.job;
    front.counts.accepted(u64::from(!submitted.replayed));
    let status = if job.status.is_done() { StatusCode::OK } else { StatusCode::ACCEPTED };
    JobAnswer::new(front, job, status)
        .header(header::LOCATION, front.links.job(job.id))
        .header(header::CACHE_CONTROL, NO_STORE)
        .header(REPLAYED, HeaderValue::from_static(if submitted.replayed { "true" } else { "false" }))
        .rated(submitted.level.as_ref())
        .applied(prefer.applied(status == StatusCode::ACCEPTED, waited))
        .with_job()
}

/// What is answered to either way to submit.
pub(crate) fn answers(operation: Operation) -> Operation {
    let job = |status, description| {
        Answer::new(status, description)
            .headers(&["Location?", "Retry-After?", "ETag?", "Idempotency-Replayed?", "Preference-Applied?", "Sunset?"])
            .headers(&["RateLimit-Policy?", "RateLimit?"])
            .leads_to_job("$response.body#/id")
    };
    operation
        .answers(
            job(200, "It ended within the wait, well or not; or with `validate_only`, it would be accepted.")
                .one_of(&["Job", "Valid"], &["job-succeeded", "job-failed", "valid"]),
        )
        .answers(
            Answer::new(202, "It is kept, and not done yet.")
                .json("Job", &["job-queued", "job-scheduled"])
                .headers(&["Location", "Retry-After", "ETag", "Idempotency-Replayed", "Preference-Applied?"])
                .headers(&["RateLimit-Policy?", "RateLimit?"])
                .leads_to_job("$response.body#/id"),
        )
        .reads()
        .fails(&[Code::QuotaExceeded, Code::KindNotFound, Code::IdempotencyKeyInvalid, Code::IdempotencyKeyReused])
        .fails(&[Code::IdempotencyInFlight, Code::DeadlineInPast, Code::PayloadTooLarge, Code::UnsupportedMediaType])
        .fails(&[Code::WebhookUrlRejected])
}

/// Why a submission came to nothing, as a problem.
pub(crate) fn submit_error(carrier: Carrier, findings: Vec<Finding>, error: SubmitError) -> Problem {
    match error {
        SubmitError::Rejected(rejection) => carrier.problem(findings, rejection),
        SubmitError::Refused(refusal) => refusal.into(),
    }
}
