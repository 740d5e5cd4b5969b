//! `GET /v1/jobs`: a page of summaries, newest first.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::{BatchId, FailureCode, KindName, QueueName, Status, TenantName, Timestamp};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::answer::json;
use super::code::Code;
use super::extract::{Query, encode};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::{JobSummary, read_cursor, read_instant, read_number, write_cursor};
use super::{Caller, Front};
use crate::engine::JobFilter;

/// Jobs of a page, unless the client says how many.
pub(crate) const DEFAULT_LIMIT: u32 = 50;

#[derive(Debug, Serialize)]
struct Page<'a> {
    jobs: Vec<JobSummary<'a>>,
    next_cursor: Option<String>,
    links: PageLinks,
}

#[derive(Debug, Serialize)]
struct PageLinks {
    next: Option<String>,
}

/// What the query asks for.
pub(super) struct Wish {
    pub(super) filter: JobFilter,
    pub(super) limit: u32,
    /// As it was sent.
    pub(super) cursor: Option<String>,
}

/// Lists jobs. A page may hold fewer than `limit`, even none, and still have a next one.
pub(crate) async fn list_jobs(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let Wish { filter, limit, cursor } = read_wish(&mut query, caller.tenant, front.desk.settings().jobs.page);
    query.check()?;
    let after = match &cursor {
        None => None,
        Some(text) => Some(read_cursor(text).ok_or_else(|| {
            Problem::new(Code::InvalidCursor, "take the cursor from `next_cursor` of the page before").at("/cursor")
        })?),
    };

    let page = front.desk.list(filter.clone(), after, limit).await?;
    let next_cursor = page.next.map(write_cursor);
    let next = next_cursor.as_deref().map(|cursor| front.links.to(&next_page(&filter, limit, cursor)));
    let body = Page {
        jobs: page.jobs.iter().map(|job| JobSummary::new(job, &front.links)).collect(),
        next_cursor,
        links: PageLinks { next },
    };
    json(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-cache")), &body)
}

/// Takes all of it out of the query; a page has `most` jobs at most.
pub(super) fn read_wish(query: &mut Query, tenant: TenantName, most: u32) -> Wish {
    let most = most.max(1);
    let filter = read_filter(query, tenant);
    let limit = query.parsed("limit", |text| read_number(text, 1, most.into()));
    let limit = limit.and_then(|n| u32::try_from(n).ok()).unwrap_or(DEFAULT_LIMIT.min(most));
    Wish { filter, limit, cursor: query.one("cursor") }
}

fn read_filter(query: &mut Query, tenant: TenantName) -> JobFilter {
    let mut statuses = Vec::new();
    for text in query.many("status") {
        match text.parse::<Status>() {
            Ok(status) if !statuses.contains(&status) => statuses.push(status),
            Ok(_) => {}
            Err(_) => query.fault("status", format!("must be one of {}", Status::ALL.map(Status::as_str).join(", "))),
        }
    }
    JobFilter {
        tenant,
        statuses,
        kind: query.parsed("kind", |text| text.parse::<KindName>().map_err(|e| e.to_string())),
        queue: query.parsed("queue", |text| text.parse::<QueueName>().map_err(|e| e.to_string())),
        batch: query
            .parsed("batch", |text| text.parse::<BatchId>().map_err(|_| "must be the id of a batch".to_owned())),
        tags: query.many("tag"),
        metadata: query.prefixed("metadata."),
        idempotency_key: query.one("idempotency_key"),
        error_code: query.parsed("error_code", read_failure_code),
        since: query.parsed("since", read_instant),
        until: query.parsed("until", read_instant),
        not_retried: false,
    }
}

/// The code of a failure by its name.
pub(super) fn read_failure_code(text: &str) -> Result<FailureCode, String> {
    let known = || FailureCode::ALL.map(FailureCode::as_str).join(", ");
    text.parse().map_err(|_| format!("must be one of {}", known()))
}

pub(super) fn next_page(filter: &JobFilter, limit: u32, cursor: &str) -> String {
    let mut path = format!("/v1/jobs?limit={limit}");
    let mut add = |name: &str, value: &str| {
        path.extend(["&", name, "=", &encode(value)]);
    };
    for status in &filter.statuses {
        add("status", status.as_str());
    }
    if let Some(batch) = filter.batch {
        add("batch", &batch.to_string());
    }
    for tag in &filter.tags {
        add("tag", tag);
    }
    for (name, value) in &filter.metadata {
        add(&format!("metadata.{}", encode(name)), value);
    }
    let instant = |at: Option<Timestamp>| at.and_then(|at| at.format(&Rfc3339).ok());
    let (since, until) = (instant(filter.since), instant(filter.until));
    let named = [
        ("error_code", filter.error_code.map(FailureCode::as_str)),
        ("since", since.as_deref()),
        ("until", until.as_deref()),
        ("kind", filter.kind.as_ref().map(KindName::as_str)),
        ("queue", filter.queue.as_ref().map(QueueName::as_str)),
        ("idempotency_key", filter.idempotency_key.as_deref()),
        ("cursor", Some(cursor)),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            add(name, value);
        }
    }
    path
}

pub(crate) fn operation() -> Operation {
    Operation::new("listJobs", "jobs", "A page of jobs, newest first")
        .says(
            "A page may hold fewer than `limit`, even none, and still have a next one: a rare filter is answered in \
             bounded steps, never by one endless scan. `metadata.NAME=VALUE` asks for a pair of metadata; several must all \
             be met.",
        )
        .takes(&["status", "query.kind", "query.queue", "query.batch", "query.tag", "idempotency_key", "cursor", "limit"])
        .takes(&["error_code", "since", "until"])
        .answers(Answer::new(200, "The page.").json("JobPage", &["page"]).leads_to_job("$response.body#/jobs/0/id"))
        .reads()
        .fails(&[Code::InvalidCursor])
}
