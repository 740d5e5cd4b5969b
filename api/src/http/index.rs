//! `GET /`: where to go from here.

use actix_web::{HttpResponse, web};

use super::Front;
use super::answer::json;
use super::openapi::{Answer, Operation};
use super::problem::Problem;

/// Links to everything.
pub(crate) async fn index(front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let to = |path: &str| front.links.to(path);
    let body = serde_json::json!({
        "name": "raincheck",
        "version": env!("CARGO_PKG_VERSION"),
        "links": {
            "jobs": to("/v1/jobs"),
            "submit": to("/v1/kinds/{kind}/jobs"),
            "livez": to("/livez"),
            "readyz": to("/readyz"),
            "openapi": to("/openapi.json"),
            "docs": to("/docs"),
        },
    });
    json(&mut HttpResponse::Ok(), &body)
}

pub(crate) fn operation() -> Operation {
    Operation::new("getIndex", "installation", "Where to go from here")
        .answers(Answer::new(200, "Links to everything.").json("Index", &["index"]))
}
