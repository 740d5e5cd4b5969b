//! `DELETE /v1/jobs/{id}`: erases what a job was given and made.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{JobAnswer, NO_STORE};
use super::code::Code;
use super::extract::{self, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::read_flag;
use super::{Caller, Front};
use crate::engine::Erasure;

/// How long a running handler that was asked to stop is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Erases: 204 once it is gone, now or before; 409 while the job is live. With `?cancel=true` a live job is canceled first;
/// 202 when its handler has not stopped yet, and then this is to be asked again.
pub(crate) async fn erase_job(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    let mut query = Query::of(&request)?;
    let cancel = query.parsed("cancel", read_flag).unwrap_or(false);
    query.check()?;
    match front.desk.erase(&caller.tenant, id, cancel.then_some(PATIENCE)).await? {
        Erasure::Done => Ok(HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, NO_STORE)).finish()),
        Erasure::Stopping(job) => {
            JobAnswer::new(&front, &job, StatusCode::ACCEPTED).header(header::CACHE_CONTROL, NO_STORE).with_job()
        }
        Erasure::Live(status) => {
            let detail = format!("the job is {status}; with ?cancel=true it is canceled first");
            Err(Problem::new(Code::JobNotFinished, detail).about(id).retry_after(1))
        }
    }
}

pub(crate) fn operation() -> Operation {
    Operation::new("eraseJob", "jobs", "Erase what a job was given and made")
        .says(
            "Input, output, logs and what the handler said are gone from the record at once, and what is left tells that \
             there was such a job and how it ended, until its retention is over. Once more is as good as once.",
        )
        .takes(&["id", "cancel"])
        .answers(Answer::new(204, "They are gone."))
        .answers(
            Answer::new(202, "The running handler was asked to stop, and has not yet: ask again.")
                .json("Job", &["job-asked-to-stop"])
                .headers(&["ETag", "Retry-After?", "Sunset?"]),
        )
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired, Code::JobNotFinished])
}
