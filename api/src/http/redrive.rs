//! `POST /v1/jobs/redrive`: failed jobs once more, many at a time.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::{InvalidName, TenantName};
use serde::Serialize;
use serde_json::Value;

use super::answer::json;
use super::code::Code;
use super::extract::{self, Query};
use super::list_jobs::read_failure_code;
use super::openapi::{Answer, Operation};
use super::problem::{Finding, Problem};
use super::refusals::Carrier;
use super::wire::{Fields, read_cursor, write_cursor};
use super::{Caller, Front};
use crate::engine::{Cursor, JobFilter, SubmitError};

/// The body holds a filter only.
const LARGEST_BODY: u64 = 64 * 1024;
/// Jobs of one request at most, and unless it says otherwise.
pub(super) const MOST: u32 = 1_000;
pub(super) const DEFAULT: u32 = 100;

#[derive(Debug, Serialize)]
struct Answered {
    dry_run: bool,
    count: usize,
    jobs: Vec<Entry>,
    refused: Vec<Refused>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    /// `null` in a dry run
    retried_by: Option<String>,
}

#[derive(Debug, Serialize)]
struct Refused {
    id: String,
    problem: Value,
}

/// What the body asks for.
pub(super) struct Wish {
    pub(super) filter: JobFilter,
    pub(super) after: Option<Cursor>,
    pub(super) limit: u32,
    pub(super) dry_run: bool,
}

pub(crate) async fn redrive(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    let body = extract::read_body(&request, body, LARGEST_BODY).await?;
    if !body.is_empty() {
        extract::json_body(&request)?;
    }
    let Wish { filter, after, limit, dry_run } = read_wish(&body, caller.tenant)?;
    let redriven = front.desk.redrive(filter, after, limit, dry_run).await?;
    if !dry_run {
        front.counts.accepted(redriven.jobs.len() as u64);
    }
    let refused = redriven.refused.into_iter().map(|(id, error)| {
        let problem: Problem = match error {
            SubmitError::Rejected(rejection) => Carrier::JsonBody.problem(Vec::new(), rejection),
            SubmitError::Refused(refusal) => refusal.into(),
        };
        Refused { id: id.to_string(), problem: problem.of_item() }
    });
    let jobs = redriven.jobs.iter().map(|(id, job)| {
        let retried_by = job.as_ref().map(|job| job.id.to_string());
        Entry { id: id.to_string(), retried_by }
    });
    let answered = Answered {
        dry_run,
        count: redriven.jobs.len(),
        jobs: jobs.collect(),
        refused: refused.collect(),
        next_cursor: redriven.next.map(write_cursor),
    };
    json(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")), &answered)
}

pub(super) fn read_wish(body: &[u8], tenant: TenantName) -> Result<Wish, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut fields = Fields::of_body(body)?;
    let limit = fields.number("limit", 1, MOST.into()).and_then(|n| u32::try_from(n).ok()).unwrap_or(DEFAULT);
    let dry_run = fields.flag("dry_run");
    let cursor = fields.text("cursor");
    let mut filter = JobFilter { tenant, ..JobFilter::default() };
    if let Some(mut wanted) = fields.object("filter") {
        filter.kind = wanted.parsed("kind", |text| text.parse().map_err(|error: InvalidName| error.to_string()));
        filter.queue = wanted.parsed("queue", |text| text.parse().map_err(|error: InvalidName| error.to_string()));
        filter.error_code = wanted.parsed("error_code", read_failure_code);
        filter.since = wanted.instant("since");
        filter.until = wanted.instant("until");
        filter.tags = wanted.texts("tags");
        fields.absorb(wanted);
    }
    let findings: Vec<Finding> = fields.finish();
    if !findings.is_empty() {
        return Err(Problem::of_findings(Code::InputInvalid, findings));
    }
    let after = match &cursor {
        None => None,
        Some(text) => Some(read_cursor(text).ok_or_else(|| {
            Problem::new(Code::InvalidCursor, "take the cursor from `next_cursor` of the answer before").at("/cursor")
        })?),
    };
    Ok(Wish { filter, after, limit, dry_run })
}

/// What the document says of it.
pub(crate) fn operation() -> Operation {
    Operation::new("redriveJobs", "jobs", "Try failed jobs once more, many at a time")
        .says(
            "Each makes a new job, as a retry does. What was retried already is passed over, so the same request may be sent \
             again, by several at once too; `next_cursor` says where to go on. With `dry_run` nothing is made.",
        )
        .json_body("Redrive", false, &["redrive-request"])
        .answers(Answer::new(200, "What was made of which, or would be.").json("Redriven", &["redriven"]))
        .reads()
        .fails(&[Code::InputInvalid, Code::InvalidCursor, Code::PayloadTooLarge, Code::UnsupportedMediaType])
}
