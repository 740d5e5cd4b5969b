//! `GET /readyz`: whether requests should come here.

use actix_web::{HttpResponse, web};

use super::Front;
use super::answer::json;
use super::code::Code;
use super::openapi::{Answer, Operation};
use super::problem::Problem;

/// 200 while submissions are accepted: `ready`, or `degraded` when the broker or a loop is in trouble, which costs
/// latency, never a job. 503 without a store. One that drains takes no new connections: what is still open hears 503.
pub(crate) async fn readyz(front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let readiness = front.desk.probe().await;
    if !readiness.is_ready() {
        return Err(match readiness.keeping {
            _ if readiness.draining => Problem::new(Code::ShuttingDown, "this server is shutting down"),
            Err(problem) => Problem::new(Code::StoreUnavailable, problem),
            Ok(()) => Problem::new(Code::StoreUnavailable, "not ready"),
        }
        .retry_after(1));
    }
    let loops: serde_json::Map<_, _> = readiness
        .loops
        .iter()
        .map(|(name, failures)| ((*name).to_owned(), if *failures == 0 { "ok".into() } else { "failing".into() }))
        .collect();
    let body = serde_json::json!({
        "status": if readiness.is_degraded() { "degraded" } else { "ready" },
        "store": "ok",
        "broker": if readiness.announcing { "ok" } else { "down" },
        "loops": loops,
    });
    json(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")), &body)
}

pub(crate) fn operation() -> Operation {
    Operation::new("getReadyz", "installation", "Whether requests should come here")
        .says(
            "`degraded` is ready: the broker or a loop is in trouble, which costs latency, never a job. 503 without a \
             store. A process that drains takes no new connections, so take it out of a load balancer before it is \
             asked to stop.",
        )
        .answers(Answer::new(200, "They should.").json("Readiness", &["readyz"]))
        .fails(&[Code::StoreUnavailable, Code::ShuttingDown])
}
