//! What requests carry outside of their JSON: headers, paths, queries, and the bounded body.

mod accept;
mod body;
mod command;
mod conditional;
mod job_id;
mod last_event_id;
mod lease_token;
mod media_type;
mod prefer;
mod query;
mod range;
mod trace;

use actix_web::HttpRequest;
use raincheck_shared::domain::IdempotencyKey;

pub(crate) use accept::Accept;
pub(crate) use body::{Gathered, Incoming, read_body};
pub(crate) use command::{command_body, nothing};
pub(crate) use conditional::IfNoneMatch;
pub(crate) use job_id::{job_id, read_job_id};
pub(crate) use last_event_id::last_event_id;
pub(crate) use lease_token::lease_token;
pub(crate) use media_type::{is_media_type, json_body, raw_body};
pub(crate) use prefer::Prefer;
pub(crate) use query::{Query, TICKET, encode, parameter};
pub(crate) use range::{Range, RangeOutcome};
pub(crate) use trace::traceparent;

#[cfg(feature = "laws")]
pub(crate) use self::{conditional::version_of, last_event_id::read_last_event_id, trace::is_traceparent};

use super::code::Code;
use super::problem::Problem;
use super::wire::read_digest_field;

/// The SHA-256 that the client says its body has, if it says one: `Content-Digest` (RFC 9530).
fn content_digest(request: &HttpRequest) -> Result<Option<[u8; 32]>, Problem> {
    for value in request.headers().get_all("content-digest") {
        let read = read_digest_field(value.to_str().unwrap_or_default());
        let invalid = |error| Problem::new(Code::MalformedRequest, format!("Content-Digest: {error}"));
        if let Some(digest) = read.map_err(invalid)? {
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

/// The `Idempotency-Key`, if one was sent.
pub(crate) fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    let invalid = |detail: String| Problem::new(Code::IdempotencyKeyInvalid, detail);
    let mut sent = request.headers().get_all("idempotency-key");
    let Some(first) = sent.next() else { return Ok(None) };
    if sent.next().is_some() {
        return Err(invalid("more than one idempotency key was sent".to_owned()));
    }
    // What is not ASCII becomes something that the parser refuses.
    let text = first.to_str().unwrap_or("\u{fffd}");
    text.parse().map(Some).map_err(|error: raincheck_shared::domain::InvalidIdempotencyKey| invalid(error.to_string()))
}
