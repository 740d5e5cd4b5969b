//! The body, bounded before it is gathered, in bytes and in time.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::http::code::Code;
use crate::http::problem::Problem;
use crate::http::refusals::too_large;

/// The longest silence between two parts of a body.
const IDLE: Duration = Duration::from_secs(15);
/// The slowest upload that is borne, in bytes a second, after [`GRACE`].
const SLOWEST: u64 = 64 * 1024;
const GRACE: Duration = Duration::from_secs(30);
/// Room that is made in advance, whatever a client announces.
const RESERVE: usize = 256 * 1024;

/// Reads the whole body, at most `limit` bytes.
pub(crate) async fn read_body(request: &HttpRequest, body: web::Payload, limit: u64) -> Result<Bytes, Problem> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.trim().parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let whole = GRACE + Duration::from_secs(limit / SLOWEST);
    tokio::time::timeout(whole, gather(body, announced, limit)).await.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout, "the body did not arrive in time")
}

async fn gather(mut body: web::Payload, announced: Option<u64>, limit: u64) -> Result<Bytes, Problem> {
    let mut gathered = BytesMut::new();
    loop {
        let next = tokio::time::timeout(IDLE, body.next()).await.map_err(|_| too_slow())?;
        let Some(part) = next else { return Ok(gathered.freeze()) };
        let part = part.map_err(|error| of_payload_error(&error, limit))?;
        if (gathered.len() + part.len()) as u64 > limit {
            return Err(too_large(limit));
        }
        if gathered.is_empty() {
            if announced == Some(part.len() as u64) {
                // All of it in one part: nothing to copy.
                return Ok(part);
            }
            let expected = announced.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
            gathered.reserve(expected.min(RESERVE).max(part.len()));
        }
        gathered.extend_from_slice(&part);
    }
}

fn of_payload_error(error: &PayloadError, limit: u64) -> Problem {
    match error {
        PayloadError::Overflow => too_large(limit),
        error => Problem::new(Code::MalformedRequest, format!("the body cannot be read: {error}")),
    }
}
