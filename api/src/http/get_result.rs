//! `GET /v1/jobs/{id}/result`: the output as the handler made it, byte for byte.

use std::ops::Range as Span;

use actix_web::body::{BoxBody, MessageBody, SizedStream};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use raincheck_shared::domain::{Body, Job, Status};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::telemetry::Chain;
use serde_json::json;

use super::answer::{http_date, whole_seconds};
use super::code::Code;
use super::extract::{self, IfNoneMatch, Query, Range, RangeOutcome};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::{digest_field, hex, poll_after};
use super::{Caller, Front};
use crate::engine::StoredResult;

/// Reads a result, or a part of it. Reading it consumes nothing.
pub(crate) async fn get_result(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    Query::of(&request)?.check()?;
    let job = front.desk.job(&caller.tenant, id).await?;
    if job.status != Status::Succeeded {
        return Err(without_result(&front, &job));
    }
    if job.erased_at.is_some() {
        return Err(Problem::new(Code::ResultErased, "the result was erased").about(id));
    }
    let Some(result) = front.desk.result(&job).await? else {
        return Err(Problem::new(Code::ResultExpired, "the result is past its retention").about(id));
    };
    answer(&request, &front, &job, result).await
}

fn without_result(front: &Front, job: &Job) -> Problem {
    let now = front.now();
    if let Some(wait) = poll_after(job, &front.desk.outlook().of(job, now), now, IdSource.fraction()) {
        let problem = Problem::new(Code::JobNotFinished, format!("the job is {}", job.status));
        return problem.about(job.id).retry_after(whole_seconds(wait));
    }
    let detail = match &job.error {
        Some(error) => format!("the job failed in attempt {}: {}", error.attempt, error.message),
        None => format!("the job is {}: it has no result", job.status),
    };
    Problem::new(Code::JobFailed, detail).about(job.id)
}

async fn answer(
    request: &HttpRequest,
    front: &Front,
    job: &Job,
    result: StoredResult,
) -> Result<HttpResponse, Problem> {
    let StoredResult { content_type, digest, body } = result;
    let size = body.size();
    let tag = hex(&digest);
    let etag = format!("\"{tag}\"");
    let unchanged = IfNoneMatch::of(request).matches(&tag);
    let range = Range::of(request, &etag).map(|range| range.of_length(size));

    let (status, span) = match &range {
        _ if unchanged => (StatusCode::NOT_MODIFIED, 0..0),
        Some(RangeOutcome::Part(span)) => (StatusCode::PARTIAL_CONTENT, span.clone()),
        Some(RangeOutcome::Unsatisfiable) => return Err(unsatisfiable(size)),
        None => (StatusCode::OK, 0..size),
    };
    // Opened before anything is answered: what cannot be read is a 503, not half a 200.
    let sent = if unchanged { None } else { Some(sent(request, front, body, span.clone()).await?) };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::VARY, "Authorization"))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if let Some(at) = job.expires_at {
        response.insert_header(("Sunset", http_date(at)));
    }
    let Some(sent) = sent else { return Ok(response.finish()) };
    // What a handler made must never run as this server's own page.
    response.insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"));
    if is_active(&content_type) {
        response.insert_header((header::CONTENT_DISPOSITION, "attachment"));
    }
    let content_type = HeaderValue::from_str(&content_type);
    response.insert_header((
        header::CONTENT_TYPE,
        content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    ));
    if status == StatusCode::PARTIAL_CONTENT {
        response
            .insert_header((header::CONTENT_RANGE, format!("bytes {}-{}/{size}", span.start, span.end - 1)))
            // Of the whole: `Content-Digest` would have to be the part's.
            .insert_header(("Repr-Digest", digest_field(&digest)));
    } else {
        response.insert_header(("Content-Digest", digest_field(&digest)));
    }
    Ok(response.body(sent))
}

/// The bytes of a span, from memory or as they are read from the blob store. Those are read when the client has taken what
/// came before.
pub(super) async fn sent(
    request: &HttpRequest,
    front: &Front,
    body: Body,
    span: Span<u64>,
) -> Result<BoxBody, Problem> {
    Ok(match body {
        Body::Inline(bytes) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            bytes.slice(place(span.start)..place(span.end)).boxed()
        }
        Body::Blob(blob) => {
            let length = span.end - span.start;
            let pieces = front.desk.read_blob(&blob, span).await?;
            if request.method() == Method::HEAD {
                let nothing = stream::empty::<Result<Bytes, std::io::Error>>();
                return Ok(SizedStream::new(length, nothing).boxed());
            }
            SizedStream::new(length, pieces.map_err(broken_off)).boxed()
        }
    })
}

/// The answer has begun, so its connection is cut: the client sees that it is not whole.
fn broken_off(error: impl std::error::Error) -> std::io::Error {
    tracing::warn!(error = %Chain(&error), "a result broke off while it was sent");
    std::io::Error::other("the result cannot be read any more")
}

fn unsatisfiable(size: u64) -> Problem {
    let problem = Problem::new(Code::RangeNotSatisfiable, format!("the result has {size} bytes"));
    match HeaderValue::from_str(&format!("bytes */{size}")) {
        Ok(whole) => problem.with_header(header::CONTENT_RANGE, whole),
        Err(_) => problem,
    }
}

/// Whether a browser would run what is in it.
fn is_active(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["html", "xml", "svg", "javascript", "ecmascript", "pdf"].iter().any(|active| essence.contains(active))
}

pub(crate) fn operation() -> Operation {
    let any = || json!({ "schema": {} });
    let common = ["ETag", "Accept-Ranges", "Sunset?", "Content-Disposition?", "Content-Security-Policy"];
    Operation::new("getResult", "jobs", "What a job made")
        .says("The output as the handler made it, byte for byte, with its own type. Reading it consumes nothing.")
        .takes(&["id", "If-None-Match", "Range", "If-Range"])
        .answers(Answer::new(200, "All of it.").content("*/*", any()).headers(&common).headers(&["Content-Digest"]))
        .answers(
            Answer::new(206, "The range that was asked for.")
                .content("*/*", any())
                .headers(&common)
                .headers(&["Content-Range", "Repr-Digest"]),
        )
        .answers(Answer::new(304, "`If-None-Match` names it.").headers(&["ETag", "Accept-Ranges", "Sunset?"]))
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired, Code::ResultExpired, Code::ResultErased])
        .fails(&[Code::JobNotFinished, Code::JobFailed, Code::RangeNotSatisfiable])
}
