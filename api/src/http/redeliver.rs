//! `POST /v1/deliveries/{id}/redeliver`: tells an event once more, whatever became of it.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::{DeliveryId, InvalidDeliveryId};

use super::answer::json;
use super::code::Code;
use super::extract;
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::DeliveryView;
use super::{Caller, Front};

/// Makes a delivery due now: 202, since it is sent a moment later. The receiver sees the same `webhook-id`.
pub(crate) async fn redeliver(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = request.match_info().get("id").unwrap_or_default();
    let id: DeliveryId = id
        .parse()
        .map_err(|error: InvalidDeliveryId| Problem::new(Code::MalformedRequest, error.to_string()).at("/id"))?;
    extract::nothing(&request, body).await?;
    let (delivery, url) = front.desk.redeliver(&caller.tenant, id).await?;
    let view = DeliveryView::new(&delivery, &url, &front.links);
    json(HttpResponse::Accepted().insert_header(("Cache-Control", "no-store")), &view)
}

pub(crate) fn operation() -> Operation {
    Operation::new("redeliver", "webhooks", "Tell an event once more")
        .says(
            "Whatever became of the delivery; it has its whole schedule before it again. The `webhook-id` stays the same. \
             Progress is told only of a job that has not ended.",
        )
        .takes(&["deliveries.id"])
        .nothing_to_say()
        .answers(Answer::new(202, "It is due now.").json("Delivery", &["delivery"]))
        .reads()
        .fails(&[Code::DeliveryNotFound, Code::JobAlreadyFinished])
}
