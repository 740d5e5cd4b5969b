//! `POST /v1/batches`: many jobs in one request, each with an answer of its own.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::{Fingerprint, Idempotency, IdempotencyKey};
use raincheck_shared::lifecycle::IdSource;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::json;
use super::code::Code;
use super::extract::{self, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::refusals::{Carrier, too_large};
use super::wire::{BatchLinks, JobView, PlanView, ReadItem, ReadSubmission, key_finding, read_batch};
use super::{Caller, Front};
use crate::engine::{BatchAnswer, ItemAnswer, Submission, SubmitError};

/// What a body may have besides its inputs, in bytes, for each item that there may be.
const BESIDES_INPUT: u64 = 4 * 1024;

#[derive(Debug, Serialize)]
struct Answered {
    /// `null`: nothing was kept
    id: Option<String>,
    accepted: usize,
    refused: usize,
    items: Vec<Entry>,
    links: Option<BatchLinks>,
}

#[derive(Debug, Default, Serialize)]
struct Entry {
    index: usize,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Value>,
}

/// Accepts what is good of a batch.
pub(crate) async fn submit_batch(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    extract::json_body(&request)?;
    let key = extract::idempotency_key(&request)?;
    let jobs = &front.desk.settings().jobs;
    let ((max_input, _), most) = (front.desk.input_limits("application/json"), jobs.batch);
    // As much input in all as one job may have: a batch is for many small ones.
    let body = extract::read_body(&request, body, max_input + BESIDES_INPUT * most as u64).await?;
    let idempotency = key.map(|key| Idempotency { key, fingerprint: Fingerprint(Sha256::digest(&body).into()) });
    let read = read_batch(&body, most)?;
    let traceparent = extract::traceparent(&request);
    let mut problems = Vec::with_capacity(read.items.len());
    let mut submissions = Vec::with_capacity(read.items.len());
    for item in read.items {
        let submission = submission(item, &front, &caller, traceparent.clone(), read.validate_only, max_input);
        let (submission, problem) = match submission {
            Ok(submission) => (Some(submission), None),
            Err(problem) => (None, Some(problem)),
        };
        submissions.push(submission);
        problems.push(problem);
    }
    let answered = front.desk.submit_batch(caller.tenant, submissions, idempotency, read.webhook.as_ref()).await;
    let answered = answered.map_err(|error| match error {
        SubmitError::Rejected(rejection) => Carrier::JsonBody.problem(Vec::new(), rejection),
        SubmitError::Refused(refusal) => refusal.into(),
    })?;
    answer(&front, answered, problems)
}

/// What an item asks for, or what is wrong with it: all of it at once.
fn submission(
    item: ReadItem,
    front: &Front,
    caller: &Caller,
    traceparent: Option<String>,
    validate_only: bool,
    max_input: u64,
) -> Result<Submission, Problem> {
    let (ReadSubmission { kind, input, mut options, mut findings }, key) = item?;
    if input.bytes.len() as u64 > max_input {
        return Err(too_large(max_input));
    }
    let key = key.map(|key| key.parse::<IdempotencyKey>()).transpose().unwrap_or_else(|error| {
        findings.push(key_finding(error.to_string()));
        None
    });
    options.validate_only |= validate_only;
    let Some(kind) = kind else { return Err(Problem::of_findings(Code::InputInvalid, findings)) };
    let tenant = caller.tenant.clone();
    let submission =
        Submission { tenant, kind, input: input.into(), options, key, id: None, retry_of: None, traceparent };
    if findings.is_empty() {
        return Ok(submission);
    }
    Err(match front.desk.check_as_written(&submission) {
        Ok(_) => Problem::of_findings(Code::InputInvalid, findings),
        Err(rejection) => Carrier::JsonBody.problem(findings, rejection),
    })
}

fn answer(front: &Front, answered: BatchAnswer, problems: Vec<Option<Problem>>) -> Result<HttpResponse, Problem> {
    let BatchAnswer { id, replayed, items } = answered;
    let mut entries = Vec::with_capacity(items.len());
    for (index, (item, problem)) in items.into_iter().zip(problems).enumerate() {
        entries.push(entry(front, index, item, problem)?);
    }
    let accepted = entries.iter().filter(|entry| entry.job.is_some()).count();
    let new = entries.iter().filter(|entry| entry.replayed == Some(false)).count();
    front.counts.accepted(new as u64);
    let refused = entries.iter().filter(|entry| entry.problem.is_some()).count();
    let links = id.map(|id| BatchLinks::of(id, &front.links));
    let mut builder = HttpResponse::build(StatusCode::MULTI_STATUS);
    builder.insert_header(("Cache-Control", "no-store"));
    builder.insert_header(("Idempotency-Replayed", if replayed { "true" } else { "false" }));
    if let Some(id) = id {
        builder.insert_header(("Location", front.links.to(&format!("/v1/batches/{id}"))));
    }
    json(&mut builder, &Answered { id: id.map(|id| id.to_string()), accepted, refused, items: entries, links })
}

fn entry(front: &Front, index: usize, item: ItemAnswer, unread: Option<Problem>) -> Result<Entry, Problem> {
    let problem = |problem: Problem| Entry {
        index,
        status: problem.status(),
        problem: Some(problem.of_item()),
        ..Entry::default()
    };
    Ok(match item {
        ItemAnswer::Kept { job, replayed } => {
            let now = front.now();
            let forecast = front.desk.outlook().of(&job, now);
            let view = JobView::new(&job, &forecast, &front.links, now, IdSource.fraction());
            let status = if job.status.is_done() { 200 } else { 202 };
            Entry { index, status, job: Some(value(&view)?), replayed: Some(replayed), ..Entry::default() }
        }
        ItemAnswer::Planned(job) => {
            Entry { index, status: 200, plan: Some(value(&PlanView::new(&job))?), ..Entry::default() }
        }
        ItemAnswer::Failed(SubmitError::Rejected(rejection)) => {
            problem(Carrier::JsonBody.problem(Vec::new(), rejection))
        }
        ItemAnswer::Failed(SubmitError::Refused(refusal)) => problem(refusal.into()),
        ItemAnswer::Unread => {
            problem(unread.unwrap_or_else(|| Problem::new(Code::InternalError, "the item was lost on the way")))
        }
    })
}

fn value(view: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(view).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::new(Code::InternalError, "the answer cannot be written")
    })
}

pub(crate) fn operation() -> Operation {
    Operation::new("submitBatch", "batches", "Submit many jobs at once")
        .says(
            "One entry for each item, in their order: a job, or a problem. One that is refused leaves its neighbours alone; \
             what is good is kept in one commit. With `Idempotency-Key` the same body, byte for byte, is the same batch. With \
             `webhook` the end of the last job is told.",
        )
        .takes(&["Idempotency-Key", "traceparent"])
        .calls("batchWebhook", "{$request.body#/webhook/url}")
        .json_body("BatchSubmission", true, &["batch-submission"])
        .answers(
            Answer::new(207, "What became of each item.")
                .json("BatchAnswer", &["batch-answer"])
                .headers(&["Location?", "Idempotency-Replayed"]),
        )
        .reads()
        .fails(&[Code::IdempotencyKeyInvalid, Code::IdempotencyKeyReused, Code::IdempotencyInFlight])
        .fails(&[Code::QuotaExceeded, Code::PayloadTooLarge, Code::UnsupportedMediaType, Code::WebhookUrlRejected])
}
