//! `POST /v1/leases/{lease}/…`: what a remote worker says while it runs a job, and that it failed or gives it back.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::answer::json;
use super::code::Code;
use super::extract::{self, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::{EndedView, RenewedView, read_fail, read_lines, read_progress, read_release};
use super::{Caller, Front};
use crate::engine::{Change, Holder, LeaseEnd, LeaseToken, RenewedLease};

const LONGEST_BODY: u64 = 64 * 1024;
/// Texts that a program wrote: lines of a log, and what a failure has to say.
const LONGEST_TEXTS: u64 = 1024 * 1024;

/// Reads the token and a JSON body. `needed`: there must be one.
async fn read(
    request: &HttpRequest,
    body: web::Payload,
    limit: u64,
    needed: bool,
) -> Result<(LeaseToken, Bytes), Problem> {
    let lease = extract::lease_token(request)?;
    Query::of(request)?.check()?;
    let body = extract::read_body(request, body, limit).await?;
    if needed || !body.is_empty() {
        extract::json_body(request)?;
    }
    Ok((lease, body))
}

fn renewed(lease: &RenewedLease) -> Result<HttpResponse, Problem> {
    json(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")), &RenewedView::new(lease))
}

/// The answer to an end.
pub(super) fn ended(lease: LeaseToken, change: Change) -> Result<HttpResponse, Problem> {
    json(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")), &EndedView::new(lease.job, change))
}

/// Says that the worker lives, and hears whether the job is to stop.
pub(crate) async fn heartbeat(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let lease = extract::lease_token(&request)?;
    extract::nothing(&request, body).await?;
    renewed(&front.desk.renew_lease(&caller.tenant, lease).await?)
}

/// Says how far the job is.
pub(crate) async fn progress(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let (lease, body) = read(&request, body, LONGEST_BODY, true).await?;
    renewed(&front.desk.report_progress(&caller.tenant, lease, read_progress(&body)?).await?)
}

/// Adds lines to the job's log.
pub(crate) async fn logs(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let (lease, body) = read(&request, body, LONGEST_TEXTS, true).await?;
    renewed(&front.desk.append_lines(&caller.tenant, lease, read_lines(&body)?).await?)
}

/// Says that the attempt failed.
pub(crate) async fn fail(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let (lease, body) = read(&request, body, LONGEST_TEXTS, true).await?;
    end(&front, &caller, lease, read_fail(&body)?).await
}

/// Gives the job back.
pub(crate) async fn release(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let (lease, body) = read(&request, body, LONGEST_BODY, false).await?;
    end(&front, &caller, lease, read_release(&body)?).await
}

async fn end(front: &Front, caller: &Caller, lease: LeaseToken, end: LeaseEnd) -> Result<HttpResponse, Problem> {
    ended(lease, front.desk.end_lease(Holder::Worker(&caller.tenant), lease, end).await?)
}

/// What is the same of all of them.
pub(super) fn of_lease(id: &'static str, summary: &'static str, says: &str) -> Operation {
    Operation::new(id, "leases", summary).says(says).takes(&["path.lease"]).reads().fails(&[
        Code::LeaseLost,
        Code::PayloadTooLarge,
        Code::UnsupportedMediaType,
    ])
}

fn goes_on() -> Answer {
    Answer::new(200, "The lease goes on.").json("RenewedLease", &["lease-renewed"])
}

/// What ends answer.
pub(super) fn is_over() -> Answer {
    Answer::new(200, "It is recorded, now or since before: what has become of the job.")
        .json("EndedLease", &["lease-ended"])
        .leads_to("getJob", "id", "$response.body#/job_id")
}

pub(crate) fn heartbeat_operation() -> Operation {
    let says = "Renews the lease, from now on for as long as was asked for, and tells whether a client asked that the job stop.";
    of_lease("heartbeat", "Say that the worker lives", says).nothing_to_say().answers(goes_on())
}

pub(crate) fn progress_operation() -> Operation {
    let says = "Shown to all who watch the job. A heartbeat as well.";
    of_lease("reportProgress", "Say how far the job is", says)
        .json_body("ProgressRequest", true, &["progress-request"])
        .answers(goes_on())
}

pub(crate) fn logs_operation() -> Operation {
    let says = "They come behind those that are there; a log that is full takes no more. A heartbeat as well.";
    of_lease("appendLogs", "Add lines to the job's log", says)
        .json_body("LogRequest", true, &["log-request"])
        .answers(goes_on())
}

pub(crate) fn fail_operation() -> Operation {
    let says = "The job is tried again as its kind says, unless no attempt is left or `retryable` is false. Sent twice, it is \
                recorded once.";
    of_lease("failLease", "Say that the attempt failed", says)
        .json_body("FailRequest", true, &["fail-request"])
        .answers(is_over())
}

pub(crate) fn release_operation() -> Operation {
    let says = "For a worker that stops, or cannot do it now: the job waits again, and no attempt is counted.";
    of_lease("releaseLease", "Give the job back", says)
        .json_body("ReleaseRequest", false, &["release-request"])
        .answers(is_over())
}
