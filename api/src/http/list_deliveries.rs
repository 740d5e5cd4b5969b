//! `GET /v1/jobs/{id}/deliveries`, `GET /v1/batches/{id}/deliveries`: what a webhook was told, and what came of each attempt.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::Version;
use serde::Serialize;

use super::answer::json;
use super::batches::batch_id;
use super::code::Code;
use super::extract::{self, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::{DeliveryView, read_number};
use super::{Caller, Front};

pub(crate) const DEFAULT_LIMIT: u32 = 20;
/// Each comes with a history of up to 50 attempts.
pub(crate) const LARGEST_PAGE: u32 = 50;

#[derive(Debug, Serialize)]
struct Page<'a> {
    deliveries: Vec<DeliveryView<'a>>,
    next_cursor: Option<String>,
    links: PageLinks,
}

#[derive(Debug, Serialize)]
struct PageLinks {
    next: Option<String>,
}

/// Lists deliveries, the latest first.
pub(crate) async fn list_deliveries(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    let mut query = Query::of(&request)?;
    let limit = query.parsed("limit", |text| read_number(text, 1, LARGEST_PAGE.into()));
    let limit = limit.and_then(|n| u32::try_from(n).ok()).unwrap_or(DEFAULT_LIMIT);
    let cursor = query.one("cursor");
    query.check()?;
    let before = match &cursor {
        None => None,
        Some(text) => Some(text.parse::<Version>().map_err(|_| {
            Problem::new(Code::InvalidCursor, "take the cursor from `next_cursor` of the page before").at("/cursor")
        })?),
    };

    let page = front.desk.deliveries(&caller.tenant, id, before, limit).await?;
    let next_cursor = page.next.map(|version| version.to_string());
    let next = next_cursor.as_deref();
    let next = next.map(|cursor| front.links.to(&format!("/v1/jobs/{id}/deliveries?limit={limit}&cursor={cursor}")));
    let body = Page {
        deliveries: page.deliveries.iter().map(|it| DeliveryView::new(it, page.url(), &front.links)).collect(),
        next_cursor,
        links: PageLinks { next },
    };
    json(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-cache")), &body)
}

/// Shows the delivery of a batch's end as a page like any other: of one, or of none.
pub(crate) async fn list_batch_deliveries(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = batch_id(&request)?;
    Query::of(&request)?.check()?;
    let found = front.desk.delivery_of_batch(&caller.tenant, id).await?;
    let view = found.as_ref().map(|(delivery, at)| DeliveryView::new(delivery, at.url.as_str(), &front.links));
    let body = Page { deliveries: view.into_iter().collect(), next_cursor: None, links: PageLinks { next: None } };
    json(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-cache")), &body)
}

pub(crate) fn batch_operation() -> Operation {
    Operation::new("listBatchDeliveries", "webhooks", "What a batch's webhook was told, and what came of each attempt")
        .says("One delivery, once all of the batch has ended.")
        .takes(&["path.batch"])
        .answers(Answer::new(200, "A page of one, or of none.").json("DeliveryPage", &["delivery-page"]).leads_to(
            "redeliver",
            "id",
            "$response.body#/deliveries/0/id",
        ))
        .reads()
        .fails(&[Code::BatchNotFound, Code::BatchExpired])
}

pub(crate) fn operation() -> Operation {
    Operation::new("listDeliveries", "webhooks", "What a job's webhook was told, and what came of each attempt")
        .takes(&["id", "cursor", "deliveries.limit"])
        .answers(Answer::new(200, "The page, the latest first.").json("DeliveryPage", &["delivery-page"]).leads_to(
            "redeliver",
            "id",
            "$response.body#/deliveries/0/id",
        ))
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired, Code::InvalidCursor])
}
