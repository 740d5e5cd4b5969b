//! What a command on something begins with, and there is nothing else to: no query, and a body that may be left out.

use actix_web::{HttpRequest, web};
use bytes::Bytes;

use super::{Query, json_body, read_body};
use crate::http::problem::Problem;

/// Refuses a query, and reads a body of at most `limit` bytes: JSON, or empty when it was left out.
pub(crate) async fn command_body(request: &HttpRequest, body: web::Payload, limit: u64) -> Result<Bytes, Problem> {
    Query::of(request)?.check()?;
    let body = read_body(request, body, limit).await?;
    if !body.is_empty() {
        json_body(request)?;
    }
    Ok(body)
}
