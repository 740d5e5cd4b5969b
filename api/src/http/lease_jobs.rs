//! `POST /v1/leases`: jobs for a remote worker, held until there are any.

use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::json;
use super::code::Code;
use super::extract::{self, Prefer, Query};
use super::hang_ups::HungUp;
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::{LeasesView, read_lease_wish, read_wait};
use super::{Caller, Front};

const LONGEST_BODY: u64 = 64 * 1024;

/// Leases jobs: 200 with at least one, 204 when none came while the answer was held.
pub(crate) async fn lease_jobs(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let asked = query.parsed("wait", read_wait);
    query.check()?;
    let body = extract::read_body(&request, body, LONGEST_BODY).await?;
    if !body.is_empty() {
        extract::json_body(&request)?;
    }
    let wish = read_lease_wish(&body, front.desk.settings(), &front.desk.known_queues())?;
    let prefer = Prefer::of(&request);
    let wait = prefer.wait.or(asked);
    let granted = front.granted(wait);
    let hung_up = request.conn_data::<HungUp>().cloned().unwrap_or_default();
    let leased = front.desk.lease(&caller.tenant, &wish, granted, &hung_up.0).await?;
    let mut answer = if leased.is_empty() { HttpResponse::NoContent() } else { HttpResponse::Ok() };
    answer.insert_header(("Cache-Control", "no-store"));
    if let Some(applied) = prefer.applied(false, wait.map(|_| granted)) {
        answer.insert_header(("Preference-Applied", applied));
    }
    if leased.is_empty() {
        return Ok(answer.finish());
    }
    json(&mut answer, &LeasesView::new(&leased, wish.ttl, &front.links))
}

pub(crate) fn operation() -> Operation {
    Operation::new("leaseJobs", "leases", "Lease jobs to run them")
        .says(
            "For remote workers: takes jobs that wait, of kinds that say `remote = true`. With `Prefer: wait=N` the answer is \
             held until there is one. Each lease lasts until `expires_at` and is renewed by a heartbeat; one that runs out \
             goes to somebody else, and its token is good for nothing any more. Only jobs of the caller's tenant are leased.",
        )
        .takes(&["wait", "Prefer"])
        .json_body("LeaseRequest", false, &["lease-request"])
        .answers(
            Answer::new(200, "Jobs, each under a lease of its own.")
                .json("Leases", &["leases"])
                .headers(&["Preference-Applied?"]),
        )
        .answers(Answer::new(204, "None came.").headers(&["Preference-Applied?"]))
        .reads()
        .fails(&[Code::PayloadTooLarge, Code::UnsupportedMediaType])
}
