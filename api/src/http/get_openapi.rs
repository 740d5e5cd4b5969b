//! `GET /openapi.json`: what this API takes and answers, for programs.

use actix_web::{HttpResponse, web};

use super::Front;
use super::openapi::{Answer, Operation};

/// The document.
pub(crate) async fn get_openapi(front: web::Data<Front>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-cache"))
        .content_type("application/json")
        .body(front.openapi())
}

pub(crate) fn operation() -> Operation {
    let any = serde_json::json!({ "schema": { "type": "object" } });
    Operation::new("getOpenapi", "installation", "This document")
        .answers(Answer::new(200, "OpenAPI 3.1.").content("application/json", any))
}
