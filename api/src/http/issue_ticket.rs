//! `POST /v1/jobs/{id}/tickets`: a token that reads this job and nothing else, for a browser.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::answer::json;
use super::code::Code;
use super::extract;
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::{Caller, Front};

/// Issues a ticket.
pub(crate) async fn issue_ticket(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    extract::nothing(&request, body).await?;
    let ticket = front.desk.ticket(&caller.tenant, id).await?;
    let with = |url: String| format!("{url}?ticket={}", ticket.text);
    let body = json!({
        "ticket": ticket.text,
        "expires_at": ticket.expires_at.format(&Rfc3339).unwrap_or_default(),
        "links": {
            "self": with(front.links.job(id)),
            "result": with(front.links.result(id)),
            "events": with(front.links.events(id)),
        },
    });
    json(HttpResponse::Created().insert_header(("Cache-Control", "no-store")), &body)
}

pub(crate) fn operation() -> Operation {
    Operation::new("issueTicket", "jobs", "Let a browser read one job")
        .says(
            "A ticket reads this job, its result and its events, for `auth.ticket_lifetime` (15 minutes) and for nothing else: \
             as `?ticket=` where no header can be sent (an `EventSource`), or as a bearer token.",
        )
        .takes(&["id"])
        .nothing_to_say()
        .answers(Answer::new(201, "The ticket, and where to take it.").json("Ticket", &["ticket"]))
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired])
}
