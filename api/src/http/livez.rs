//! `GET /livez`: the process runs. Says nothing of store or broker: a restart would mend neither.

use actix_web::HttpResponse;

use super::openapi::{Answer, Operation};

/// Always 200.
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .content_type("application/json")
        .body(r#"{"status":"alive"}"#)
}

pub(crate) fn operation() -> Operation {
    Operation::new("getLivez", "installation", "Whether the process runs")
        .says("Says nothing of store or broker: a restart would mend neither.")
        .answers(Answer::new(200, "It does.").json("Alive", &["livez"]))
}
