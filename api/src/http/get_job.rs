//! `GET /v1/jobs/{id}`: how a job stands, now or once it has moved.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::Status;

use super::answer::{JobAnswer, PREFERENCE_APPLIED, tag};
use super::code::Code;
use super::extract::{self, IfNoneMatch, Prefer, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::read_wait;
use super::{Caller, Front};

/// Reads a job. With `Prefer: wait=N` or `?wait=Ns` the answer is held until the job has passed the version in
/// `If-None-Match`, or without one until it has ended.
pub(crate) async fn get_job(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    let mut query = Query::of(&request)?;
    let asked = query.parsed("wait", read_wait);
    query.check()?;
    let prefer = Prefer::of(&request);
    let wait = prefer.wait.or(asked);
    let granted = front.granted(wait);
    let known = IfNoneMatch::of(&request);

    let job = front.desk.wait(&caller.tenant, id, known.version(), granted).await?;
    let applied = prefer.applied(false, wait.map(|_| granted));
    let answer = |status| {
        JobAnswer::new(&front, &job, status)
            .header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
    };
    if prefer.redirect && job.status == Status::Succeeded {
        let answer = answer(StatusCode::SEE_OTHER).header(header::LOCATION, front.links.result(id));
        return Ok(answer.header(PREFERENCE_APPLIED, HeaderValue::from_static("redirect")).bare());
    }
    if known.matches(&tag(&job)) {
        return Ok(answer(StatusCode::NOT_MODIFIED).applied(applied).bare());
    }
    answer(StatusCode::OK).applied(applied).with_job()
}

pub(crate) fn operation() -> Operation {
    Operation::new("getJob", "jobs", "How a job stands")
        .says(
            "With `Prefer: wait=N` or `?wait=Ns` the answer is held until the job has passed the version in \
             `If-None-Match`, or without one until it has ended. 200 while the job exists, also when it failed: a read \
             that works is no error.",
        )
        .takes(&["id", "wait", "Prefer", "If-None-Match"])
        .answers(
            Answer::new(200, "The job. While it is live there is `Retry-After`, once it has ended `Sunset`.")
                .json("Job", &["job-queued", "job-succeeded", "job-failed", "job-canceled"])
                .headers(&["ETag", "Retry-After?", "Sunset?", "Preference-Applied?"])
                .leads_to_job("$response.body#/id"),
        )
        .answers(Answer::new(303, "It succeeded, and `Prefer: redirect` asked to be sent to the result.").headers(&[
            "Location",
            "ETag",
            "Retry-After?",
            "Sunset?",
            "Preference-Applied",
        ]))
        .answers(Answer::new(304, "It has the version that `If-None-Match` names.").headers(&[
            "ETag",
            "Retry-After?",
            "Sunset?",
            "Preference-Applied?",
        ]))
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired])
}
