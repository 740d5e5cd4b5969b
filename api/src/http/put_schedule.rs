//! `PUT /v1/schedules/{schedule}`: makes a schedule or replaces it.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::store::PutSchedule;

use super::answer::json;
use super::code::Code;
use super::extract::{self, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::refusals::Carrier;
use super::schedules::{read_runs, schedule_name};
use super::wire::{ReadSchedule, SchedulePreview, ScheduleView, read_schedule};
use super::{Caller, Front};
use crate::engine::{LARGEST_INPUT, SubmitError};

/// What a body may have, in bytes: its input, and what is around it.
const LARGEST_BODY: u64 = LARGEST_INPUT as u64 + 128 * 1024;

/// Keeps it. The same once more changes nothing.
pub(crate) async fn put_schedule(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let runs = read_runs(&mut query);
    query.check()?;
    let name = schedule_name(&request, Code::InputInvalid)?;
    extract::json_body(&request)?;
    let body = extract::read_body(&request, body, LARGEST_BODY).await?;
    let ReadSchedule { definition, validate_only, findings } = read_schedule(&body)?;
    let Some(definition) = definition else { return Err(Problem::of_findings(Code::InputInvalid, findings)) };
    let rejected = |rejection| Carrier::JsonBody.problem(Vec::new(), rejection);
    if validate_only {
        front.desk.check_schedule(&caller.tenant, &name, &definition).await.map_err(rejected)?;
        let preview = SchedulePreview::new(name.as_str(), &definition, front.now(), runs);
        return json(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")), &preview);
    }
    let put = front.desk.put_schedule(&caller.tenant, &name, definition).await.map_err(|error| match error {
        SubmitError::Rejected(rejection) => rejected(rejection),
        SubmitError::Refused(refusal) => refusal.into(),
    })?;
    let (status, schedule) = match put {
        PutSchedule::Created(schedule) => (StatusCode::CREATED, schedule),
        PutSchedule::Changed(schedule) | PutSchedule::Unchanged(schedule) => (StatusCode::OK, schedule),
        PutSchedule::Configured | PutSchedule::Full => {
            return Err(Problem::new(Code::InternalError, "the engine answers these as refusals"));
        }
    };
    let mut builder = HttpResponse::build(status);
    if status == StatusCode::CREATED {
        builder.insert_header((header::LOCATION, front.links.to(&format!("/v1/schedules/{name}"))));
    }
    let view = ScheduleView::new(&schedule, runs, &front.links);
    json(builder.insert_header(("Cache-Control", "no-store")), &view)
}

pub(crate) fn operation() -> Operation {
    Operation::new("putSchedule", "schedules", "Make a schedule, or replace it")
        .says(
            "The same once more changes nothing. A schedule whose `cron` stays the same keeps its next tick; one that is paused \
             stays paused. With `validate_only` nothing is kept, and the answer tells when it would run. Schedules of the \
             configuration are changed there.",
        )
        .takes(&["path.schedule", "runs"])
        .json_body("ScheduleRequest", true, &["schedule-request"])
        .answers(
            Answer::new(200, "There was one; now it is this. Or with `validate_only`: it would be accepted.")
                .one_of(&["Schedule", "SchedulePreview"], &["schedule-preview"]),
        )
        .answers(
            Answer::new(201, "There was none; now there is.").json("Schedule", &["schedule-made"]).headers(&["Location"]),
        )
        .reads()
        .fails(&[Code::KindNotFound, Code::ScheduleConfigured, Code::QuotaExceeded, Code::PayloadTooLarge])
        .fails(&[Code::UnsupportedMediaType, Code::WebhookUrlRejected])
}
