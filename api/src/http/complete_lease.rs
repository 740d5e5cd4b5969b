//! `POST /v1/leases/{lease}/complete`: the body is the result, byte for byte. `GET …/input`: the input, likewise.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use raincheck_shared::domain::{Blob, Body, Content, Status, TenantName};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::code::Code;
use super::extract::{self, Gathered, Incoming, Query};
use super::get_result::sent;
use super::held_lease::{ended, is_over, of_lease};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::{Caller, Front};
use crate::engine::{Holder, LeaseEnd, LeaseToken, Refusal, result_name};

/// Records the result of a job.
pub(crate) async fn complete(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let lease = extract::lease_token(&request)?;
    Query::of(&request)?.check()?;
    take(&request, body, &front, Holder::Worker(&caller.tenant), lease).await
}

/// Takes the result of a job from whoever holds its lease.
pub(super) async fn take(
    request: &HttpRequest,
    body: web::Payload,
    front: &Front,
    holder: Holder<'_>,
    lease: LeaseToken,
) -> Result<HttpResponse, Problem> {
    let content_type = extract::raw_body(request)?;
    // Before all of it is read: who has lost the lease need not send a large one.
    let found = front.desk.attempt(holder, lease).await?;
    let (largest, in_database) = front.desk.output_limits();
    let incoming = Incoming::of(request, body, largest, front.desk.upload_patience())?;
    let body = match incoming.gather(in_database).await? {
        Gathered::Whole(bytes) => Body::Inline(bytes),
        Gathered::More(beginning, rest) => {
            let keeps_for = (found.status == Status::InProgress).then_some(&found.tenant);
            Body::Blob(spool(front, lease, keeps_for, beginning, rest).await?)
        }
    };
    let blob = body.blob().copied();
    let end = LeaseEnd::Complete(Content { content_type, body });
    match front.desk.end_lease(holder, lease, end).await {
        Ok(change) => ended(lease, change),
        Err(refusal) => {
            // Certainly not recorded, and nobody else writes under its name.
            if let (Refusal::LeaseLost | Refusal::LeaseEnded(_), Some(blob)) = (&refusal, blob) {
                front.desk.discard(&blob);
            }
            Err(refusal.into())
        }
    }
}

/// Writes a large result to the blob store as it arrives. Of a lease that was ended before it only counts what comes: what is
/// recorded is not written again.
async fn spool(
    front: &Front,
    lease: LeaseToken,
    keeps_for: Option<&TenantName>,
    beginning: Bytes,
    mut rest: Incoming,
) -> Result<Blob, Problem> {
    let mut writer = match keeps_for {
        Some(tenant) => Some(front.desk.begin_result(lease, tenant).await?),
        None => None,
    };
    let (mut size, mut sum) = (0, Sha256::new());
    let mut next = Some(beginning);
    while let Some(piece) = next {
        size += piece.len() as u64;
        match &mut writer {
            Some(writer) => writer.write(&piece).await.map_err(Refusal::from)?,
            None => sum.update(&piece),
        }
        next = rest.next().await?;
    }
    if let Some(writer) = writer {
        return Ok(writer.finish().await.map_err(Refusal::from)?);
    }
    Ok(Blob { name: result_name(lease), size, digest: sum.finalize().into() })
}

/// Reads the input of a leased job.
pub(crate) async fn input(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let lease = extract::lease_token(&request)?;
    Query::of(&request)?.check()?;
    let Content { content_type, body } = front.desk.leased_input(&caller.tenant, lease).await?;
    let span = 0..body.size();
    let bytes = sent(&request, &front, body, span).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("Content-Security-Policy", "default-src 'none'; sandbox"))
        .body(bytes))
}

pub(crate) fn operation() -> Operation {
    let says = "The body is the result as it is, with its own `Content-Type`. Sent twice, it is recorded once; with another \
                result the second is refused. Once a client has asked that the job stop, it ends as canceled, whatever it made.";
    of_lease("completeLease", "Say what the job made", says)
        .body(json!({ "required": false, "content": { "*/*": { "schema": {} } } }))
        .answers(is_over())
}

pub(crate) fn input_operation() -> Operation {
    let says = "Byte for byte, with its own type, while the lease is held. Small ones come with the lease.";
    of_lease("getLeasedInput", "The input of a leased job", says)
        .answers(
            Answer::new(200, "All of it.")
                .content("*/*", json!({ "schema": {} }))
                .headers(&["Content-Security-Policy"]),
        )
        .fails(&[Code::InputExpired])
}
