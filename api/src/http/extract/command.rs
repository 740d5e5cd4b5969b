//! What a command on something begins with: no query, and a body that may be left out, or has nothing to say at all.

use actix_web::{HttpRequest, web};
use bytes::Bytes;

use super::{Query, json_body, read_body};
use crate::http::code::Code;
use crate::http::problem::Problem;
use crate::http::wire::Fields;

/// What is read of a body that has nothing to say, in bytes, to tell what is wrong with it.
const NOTHING: u64 = 64 * 1024;

/// Refuses a query, and reads a body of at most `limit` bytes: JSON, or empty when it was left out.
pub(crate) async fn command_body(request: &HttpRequest, body: web::Payload, limit: u64) -> Result<Bytes, Problem> {
    Query::of(request)?.check()?;
    let body = read_body(request, body, limit).await?;
    if !body.is_empty() {
        json_body(request)?;
    }
    Ok(body)
}

/// Refuses a query, and a body that says anything: who sends a field believes that it counts. Many clients send an empty object
/// where there is nothing to say; that is as good as no body, whatever type it has.
pub(crate) async fn nothing(request: &HttpRequest, body: web::Payload) -> Result<(), Problem> {
    Query::of(request)?.check()?;
    let body = read_body(request, body, NOTHING).await?;
    if body.is_empty() {
        return Ok(());
    }
    let findings = Fields::of_body(&body)?.finish();
    if findings.is_empty() { Ok(()) } else { Err(Problem::of_findings(Code::InputInvalid, findings)) }
}
