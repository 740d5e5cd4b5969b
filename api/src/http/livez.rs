//! `GET /livez`: the process runs. Says nothing of store or broker: a restart would mend neither.

use actix_web::HttpResponse;

/// Always 200.
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .content_type("application/json")
        .body(r#"{"status":"alive"}"#)
}
