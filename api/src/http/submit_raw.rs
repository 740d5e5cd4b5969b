//! `POST /v1/kinds/{kind}/jobs`: the body is the input, byte for byte; options are query parameters.
//!
//! What is too large for the database goes to the blob store as it arrives, once everything but the body was found good.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use raincheck_shared::domain::{Blob, BlobName, BlobPart, Body, Content};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::lifecycle::failpoint::{self, Step};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::extract::{self, Gathered, Incoming, Prefer, Query};
use super::openapi::Operation;
use super::problem::Problem;
use super::refusals::Carrier;
use super::submitted::{answers, submit, submit_error};
use super::wire::{read_options, read_wait};
use super::{Caller, Front};
use crate::engine::Submission;

/// Accepts a job.
pub(crate) async fn submit_raw(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let kind = request.match_info().get("kind").unwrap_or_default().to_owned();
    let mut query = Query::of(&request)?;
    let options = read_options(&mut query);
    let wait = query.parsed("wait", read_wait);
    let findings = query.finish();
    let content_type = extract::raw_body(&request)?;
    let key = extract::idempotency_key(&request)?;
    let prefer = Prefer::of(&request);
    let wait = prefer.wait.or(wait);
    let (largest, in_database) = front.desk.input_limits(&content_type);
    let body = Incoming::of(&request, body, largest, front.desk.upload_patience())?;
    let input = Content { content_type, body: Body::Inline(Bytes::new()) };
    let traceparent = extract::traceparent(&request);
    let tenant = caller.tenant;
    let mut submission = Submission { tenant, kind, input, options, key, id: None, retry_of: None, traceparent };
    match body.gather(in_database).await? {
        Gathered::Whole(bytes) => submission.input.body = Body::Inline(bytes),
        Gathered::More(beginning, rest) => {
            let blob = if !findings.is_empty() || submission.options.validate_only {
                Box::pin(only_count(&beginning, rest)).await?
            } else {
                Box::pin(spool(&front, &submission, beginning, rest)).await?
            };
            submission.input.body = Body::Blob(blob);
            failpoint::passed(Step::Spooled).await;
        }
    }
    submit(front, Carrier::Query, submission, findings, prefer, wait).await
}

/// Writes an input to the blob store as it arrives. Whatever goes wrong, nothing is left of it.
async fn spool(front: &Front, submission: &Submission, beginning: Bytes, mut rest: Incoming) -> Result<Blob, Problem> {
    let refused = |error| submit_error(Carrier::Query, Vec::new(), error);
    let mut upload = front.desk.begin_upload(submission).await.map_err(refused)?;
    let whole = async {
        upload.write(&beginning).await?;
        while let Some(part) = rest.next().await? {
            upload.write(&part).await?;
        }
        Ok::<_, Problem>(())
    };
    if let Err(problem) = whole.await {
        upload.abort().await;
        return Err(problem);
    }
    Ok(upload.finish().await?)
}

/// Reads an input that will not be kept: what its blob would be.
async fn only_count(beginning: &[u8], mut rest: Incoming) -> Result<Blob, Problem> {
    let (mut size, mut sum) = (beginning.len() as u64, Sha256::new_with_prefix(beginning));
    while let Some(part) = rest.next().await? {
        size += part.len() as u64;
        sum.update(&part);
    }
    let name = BlobName { job: IdSource.job(), part: BlobPart::Input, token: IdSource.random(), upload: None };
    Ok(Blob { name, size, digest: sum.finalize().into() })
}

pub(crate) fn operation(id: &'static str) -> Operation {
    let operation = Operation::new(id, "jobs", "Submit a job whose input is the body")
        .says("The body is the input as it is, whatever it is: `curl -T photo.jpg …`. Options are query parameters.")
        .takes(&["kind", "wait", "Prefer", "Idempotency-Key", "traceparent"])
        .takes(&["queue", "priority", "run_at", "delay", "start_timeout", "run_timeout", "deadline"])
        .takes(&["input_retention", "result_retention", "max_attempts", "concurrency_key", "tags", "validate_only"])
        .takes(&["webhook_url", "webhook_events"])
        .calls("jobWebhook", "{$request.query.webhook_url}")
        .body(json!({ "required": false, "content": { "*/*": { "schema": {} } } }));
    answers(operation)
}
