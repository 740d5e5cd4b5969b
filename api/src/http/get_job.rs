//! `GET /v1/jobs/{id}`: how a job stands, now or once it has moved.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::Status;

use super::Front;
use super::answer::JobAnswer;
use super::extract::{self, IfNoneMatch, Prefer, Query};
use super::problem::Problem;
use super::wire::read_duration;

/// Reads a job. With `Prefer: wait=N` or `?wait=Ns` the answer is held until the job has passed the version in
/// `If-None-Match`, or without one until it has ended.
pub(crate) async fn get_job(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    let mut query = Query::of(&request)?;
    let asked = query.parsed("wait", read_duration);
    query.check()?;
    let prefer = Prefer::of(&request);
    let wait = prefer.wait.or(asked);
    let granted = front.granted(wait);
    let known = IfNoneMatch::of(&request);

    let job = front.desk.wait(id, known.version(), granted).await?;
    let applied = prefer.applied(false, wait.map(|_| granted));
    let answer = |status| JobAnswer::new(&front, &job, status).header("Cache-Control", "private, no-cache");
    if prefer.redirect && job.status == Status::Succeeded {
        let answer = answer(StatusCode::SEE_OTHER).header("Location", front.links.result(id));
        return Ok(answer.header("Preference-Applied", "redirect").bare());
    }
    if known.matches(&job.version.to_string()) {
        return Ok(answer(StatusCode::NOT_MODIFIED).applied(applied).bare());
    }
    answer(StatusCode::OK).applied(applied).with_job()
}
