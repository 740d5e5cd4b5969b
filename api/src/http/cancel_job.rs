//! `POST /v1/jobs/{id}/cancel`: asks that a job stop.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{JobAnswer, NO_STORE};
use super::code::Code;
use super::extract;
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::Fields;
use super::{Caller, Front};
use crate::engine::CancelAnswer;

const LONGEST_BODY: u64 = 16 * 1024;
/// Characters of a reason.
pub(super) const LONGEST_REASON: usize = 512;

/// Cancels: 200 once it is canceled, 202 while its running handler is told, 409 when it has ended otherwise.
pub(crate) async fn cancel_job(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    let reason = read_reason(&extract::command_body(&request, body, LONGEST_BODY).await?)?;
    let (status, job) = match front.desk.cancel(&caller.tenant, id, reason).await? {
        CancelAnswer::Canceled(job) => (StatusCode::OK, job),
        CancelAnswer::Asked(job) => (StatusCode::ACCEPTED, job),
        CancelAnswer::TooLate(job) => {
            let detail = format!("the job is {} already", job.status);
            return Err(Problem::new(Code::JobAlreadyFinished, detail).about(id));
        }
    };
    JobAnswer::new(&front, &job, status).header(header::CACHE_CONTROL, NO_STORE).with_job()
}

/// Reads why, if the body says it.
pub(super) fn read_reason(body: &[u8]) -> Result<Option<String>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::of_body(body)?;
    let reason = fields.text("reason");
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
        fields.fault("reason", format!("must have at most {LONGEST_REASON} characters"));
    }
    let findings = fields.finish();
    if findings.is_empty() { Ok(reason) } else { Err(Problem::of_findings(Code::InputInvalid, findings)) }
}

pub(crate) fn operation() -> Operation {
    let job = |status, description, example| {
        Answer::new(status, description).json("Job", &[example]).headers(&["ETag", "Retry-After?", "Sunset?"]).leads_to(
            "getJob",
            "id",
            "$response.body#/id",
        )
    };
    Operation::new("cancelJob", "jobs", "Ask that a job stop")
        .says("A waiting job is canceled at once; a running handler is told, and what it makes after that does not count.")
        .takes(&["id"])
        .json_body("CancelRequest", false, &["cancel-request"])
        .answers(job(200, "It is canceled, now or since before.", "job-canceled"))
        .answers(job(202, "Its running handler was asked to stop.", "job-asked-to-stop"))
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired, Code::JobAlreadyFinished])
        .fails(&[Code::PayloadTooLarge, Code::UnsupportedMediaType])
}
