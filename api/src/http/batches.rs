//! `GET /v1/batches/{id}`: how a batch stands, now or once it has ended. `POST …/cancel`: asks that all of it stop.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::{Batch, BatchId};
use sha2::{Digest, Sha256};

use super::answer::{http_date, json};
use super::cancel_job::read_reason;
use super::code::Code;
use super::extract::{self, IfNoneMatch, Prefer, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::{BatchView, hex, read_wait};
use super::{Caller, Front};

const LONGEST_BODY: u64 = 16 * 1024;

/// Reads a batch. With `Prefer: wait=N` or `?wait=Ns` the answer is held until all of it has ended.
pub(crate) async fn get_batch(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = batch_id(&request)?;
    let mut query = Query::of(&request)?;
    let asked = query.parsed("wait", read_wait);
    query.check()?;
    let prefer = Prefer::of(&request);
    let wait = prefer.wait.or(asked);
    let granted = front.granted(wait);
    let batch = front.desk.wait_for_batch(&caller.tenant, id, granted).await?;
    let tag = etag(&batch);
    let unchanged = IfNoneMatch::of(&request).matches(&tag);
    let mut builder = HttpResponse::build(if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    builder.insert_header((header::ETAG, format!("\"{tag}\""))).insert_header(("Cache-Control", "private, no-cache"));
    if let Some(applied) = prefer.applied(false, wait.map(|_| granted)) {
        builder.insert_header(("Preference-Applied", applied));
    }
    match batch.expires_at {
        Some(at) => builder.insert_header(("Sunset", http_date(at))),
        None => builder.insert_header((header::RETRY_AFTER, 1)),
    };
    if unchanged { Ok(builder.finish()) } else { json(&mut builder, &BatchView::new(&batch, &front.links)) }
}

/// Cancels what of it has not ended: 200 once all has, 202 while handlers are told.
pub(crate) async fn cancel_batch(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = batch_id(&request)?;
    let reason = read_reason(&extract::command_body(&request, body, LONGEST_BODY).await?)?;
    let batch = front.desk.cancel_batch(&caller.tenant, id, reason).await?;
    let status = if batch.finished_at.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut builder = HttpResponse::build(status);
    json(builder.insert_header(("Cache-Control", "no-store")), &BatchView::new(&batch, &front.links))
}

/// Changes with whatever is shown of the batch.
fn etag(batch: &Batch) -> String {
    let told = batch.webhook.as_ref().and_then(|webhook| webhook.summary);
    let shown = format!("{:?} {:?} {:?}", batch.counts, batch.cancel_requested_at, told);
    let digest: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
    hex(&digest).chars().take(16).collect()
}

pub(super) fn batch_id(request: &HttpRequest) -> Result<BatchId, Problem> {
    let text = request.match_info().get("batch").unwrap_or_default();
    let id = if text.len() == 36 { text.parse().ok() } else { None };
    id.ok_or_else(|| {
        let detail = "a batch's id is a UUID such as 0192f0c1-2345-7abc-8def-0123456789ab";
        Problem::new(Code::MalformedRequest, detail).at("/batch")
    })
}

pub(crate) fn operation() -> Operation {
    Operation::new("getBatch", "batches", "How a batch stands")
        .says("With a wait, once all of it has ended.")
        .takes(&["path.batch", "wait", "Prefer", "If-None-Match"])
        .answers(Answer::new(200, "As it stands.").json("Batch", &["batch"]).headers(&[
            "ETag",
            "Retry-After?",
            "Sunset?",
            "Preference-Applied?",
        ]))
        .answers(Answer::new(304, "It is as the client has it.").headers(&[
            "ETag",
            "Retry-After?",
            "Sunset?",
            "Preference-Applied?",
        ]))
        .reads()
        .fails(&[Code::BatchNotFound, Code::BatchExpired])
}

pub(crate) fn cancel_operation() -> Operation {
    Operation::new("cancelBatch", "batches", "Ask that all of a batch stop")
        .says("What waits is canceled at once, handlers that run are told. What has ended stays as it is.")
        .takes(&["path.batch"])
        .json_body("CancelRequest", false, &["cancel-request"])
        .answers(Answer::new(200, "All of it has ended.").json("Batch", &["batch"]))
        .answers(Answer::new(202, "Handlers that run were asked to stop.").json("Batch", &["batch"]))
        .reads()
        .fails(&[Code::BatchNotFound, Code::BatchExpired, Code::PayloadTooLarge, Code::UnsupportedMediaType])
}
