//! `GET /v1/schedules` and `/v1/schedules/{schedule}`, `DELETE`, `POST …/pause`, `…/resume` and `…/trigger`.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::ScheduleName;
use serde::Serialize;

use super::answer::json;
use super::code::Code;
use super::extract::{self, Prefer, Query};
use super::openapi::{Answer, Operation};
use super::problem::{Finding, Problem};
use super::refusals::Carrier;
use super::submitted::{answers, submit};
use super::wire::{ScheduleView, read_number};
use super::{Caller, Front};

/// Schedules of a page, unless the client says how many, and at most.
const DEFAULT_LIMIT: u32 = 50;
const LARGEST_PAGE: u32 = 100;
/// Runs ahead that are told, unless the client says how many, and at most.
const DEFAULT_RUNS: usize = 5;
const MOST_RUNS: i64 = 100;

#[derive(Debug, Serialize)]
struct Page<'a> {
    schedules: Vec<ScheduleView<'a>>,
    next_cursor: Option<String>,
    links: PageLinks,
}

#[derive(Debug, Serialize)]
struct PageLinks {
    next: Option<String>,
}

/// Lists the tenant's, by name.
pub(crate) async fn list_schedules(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let limit = query.parsed("limit", |text| read_number(text, 1, LARGEST_PAGE.into()));
    let limit = limit.and_then(|n| u32::try_from(n).ok()).unwrap_or(DEFAULT_LIMIT);
    let cursor = query.one("cursor");
    query.check()?;
    let after = match &cursor {
        None => None,
        Some(text) => Some(text.parse::<ScheduleName>().map_err(|_| {
            Problem::new(Code::InvalidCursor, "take the cursor from `next_cursor` of the page before").at("/cursor")
        })?),
    };
    // One more tells whether there is a next page.
    let mut found = front.desk.schedules(&caller.tenant, after, limit + 1).await?;
    let has_next = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_next).map(|schedule| schedule.name.to_string());
    let next = next_cursor.as_ref().map(|cursor| format!("/v1/schedules?limit={limit}&cursor={cursor}"));
    let body = Page {
        schedules: found.iter().map(|schedule| ScheduleView::new(schedule, 1, &front.links)).collect(),
        next_cursor,
        links: PageLinks { next: next.map(|path| front.links.to(&path)) },
    };
    json(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-cache")), &body)
}

/// Shows one, with its next runs.
pub(crate) async fn get_schedule(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let runs = read_runs(&mut query);
    query.check()?;
    let name = schedule_name(&request, Code::ScheduleNotFound)?;
    let schedule = front.desk.schedule(&caller.tenant, &name).await?;
    let view = ScheduleView::new(&schedule, runs, &front.links);
    json(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-cache")), &view)
}

/// Deletes one.
pub(crate) async fn delete_schedule(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    let name = schedule_name(&request, Code::ScheduleNotFound)?;
    front.desk.delete_schedule(&caller.tenant, &name).await?;
    Ok(HttpResponse::NoContent().insert_header(("Cache-Control", "no-store")).finish())
}

/// Lets it make no jobs.
pub(crate) async fn pause_schedule(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    set_paused(&request, body, &front, &caller, true).await
}

/// Lets it make jobs again.
pub(crate) async fn resume_schedule(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    set_paused(&request, body, &front, &caller, false).await
}

async fn set_paused(
    request: &HttpRequest,
    body: web::Payload,
    front: &Front,
    caller: &Caller,
    paused: bool,
) -> Result<HttpResponse, Problem> {
    let name = schedule_name(request, Code::ScheduleNotFound)?;
    extract::nothing(request, body).await?;
    let schedule = front.desk.set_schedule_paused(&caller.tenant, &name, paused).await?;
    let view = ScheduleView::new(&schedule, DEFAULT_RUNS, &front.links);
    json(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")), &view)
}

/// Makes a job of it now, beside its ticks.
pub(crate) async fn trigger_schedule(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let name = schedule_name(&request, Code::ScheduleNotFound)?;
    let (key, prefer) = (extract::idempotency_key(&request)?, Prefer::of(&request));
    extract::nothing(&request, body).await?;
    let trace = extract::traceparent(&request);
    let submission = front.desk.triggered(&caller.tenant, &name, key, trace).await?;
    submit(front, Carrier::JsonBody, submission, Vec::new(), prefer, prefer.wait).await
}

/// The name in the path. One that cannot be is a mistake to whoever makes a schedule, and no schedule's to all others.
pub(crate) fn schedule_name(request: &HttpRequest, otherwise: Code) -> Result<ScheduleName, Problem> {
    let text = request.match_info().get("schedule").unwrap_or_default();
    text.parse::<ScheduleName>().map_err(|error| {
        if otherwise == Code::InputInvalid {
            return Problem::of_findings(otherwise, vec![Finding::new("/schedule", error.to_string())]);
        }
        let shown: String = text.chars().take(80).collect();
        Problem::new(otherwise, format!("there is no schedule {shown:?}"))
    })
}

/// How many runs ahead are wanted.
pub(crate) fn read_runs(query: &mut Query) -> usize {
    let runs = query.parsed("runs", |text| read_number(text, 0, MOST_RUNS));
    runs.and_then(|runs| usize::try_from(runs).ok()).unwrap_or(DEFAULT_RUNS)
}

pub(crate) fn list_operation() -> Operation {
    Operation::new("listSchedules", "schedules", "A page of schedules, by name")
        .says("Those of the configuration and those that clients made, each with its next run.")
        .takes(&["schedules.cursor", "schedules.limit"])
        .answers(Answer::new(200, "The page.").json("SchedulePage", &["schedule-page"]))
        .reads()
        .fails(&[Code::InvalidCursor])
}

pub(crate) fn operation() -> Operation {
    one("getSchedule", "A schedule and its next runs", "Each in UTC, and as the clock of its zone shows it.")
        .takes(&["runs"])
}

pub(crate) fn delete_operation() -> Operation {
    Operation::new("deleteSchedule", "schedules", "Delete a schedule")
        .says("Jobs that it made stay. One of the configuration is deleted there.")
        .takes(&["path.schedule"])
        .answers(Answer::new(204, "It is gone."))
        .reads()
        .fails(&[Code::ScheduleNotFound, Code::ScheduleConfigured])
}

pub(crate) fn pause_operation() -> Operation {
    let says = "It makes no jobs until it is resumed, over restarts and also if it is one of the configuration. One that is \
                paused stays so.";
    one("pauseSchedule", "Let a schedule make no jobs", says).nothing_to_say()
}

pub(crate) fn resume_operation() -> Operation {
    let says = "From the next tick after now on; ticks of the pause are not caught up with.";
    one("resumeSchedule", "Let a schedule make jobs again", says).nothing_to_say()
}

pub(crate) fn trigger_operation() -> Operation {
    let operation = Operation::new("triggerSchedule", "schedules", "Make a job of a schedule now")
        .says("Beside its ticks, which stay as they are; also while it is paused. Answered as a submit.")
        .takes(&["path.schedule", "Prefer", "Idempotency-Key", "traceparent"])
        .nothing_to_say();
    answers(operation).fails(&[Code::ScheduleNotFound])
}

fn one(id: &'static str, summary: &'static str, says: &str) -> Operation {
    Operation::new(id, "schedules", summary)
        .says(says)
        .takes(&["path.schedule"])
        .answers(Answer::new(200, "As it stands now.").json("Schedule", &["schedule-made"]))
        .reads()
        .fails(&[Code::ScheduleNotFound])
}
