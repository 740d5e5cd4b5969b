//! `GET /docs`: the API for people, as one page that reads `/openapi.json`. It is part of the binary, and its policy lets
//! the browser load and run nothing but what is in it.

use std::sync::LazyLock;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Front;
use super::openapi::{Answer, Operation};

const SHELL: &str = include_str!("docs_page/page.html");
const STYLE: &str = include_str!("docs_page/page.css");
const SCRIPT: &str = include_str!("docs_page/page.js");

/// The page, with a place for what its requests start with, and the policy that fits it.
static PAGE: LazyLock<(String, HeaderValue)> = LazyLock::new(|| {
    let digest = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        digest(SCRIPT),
        digest(STYLE)
    );
    let page = SHELL.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT);
    (page, HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'")))
});

/// The page.
pub(crate) async fn docs_page(_: web::Data<Front>) -> HttpResponse {
    let (page, policy) = &*PAGE;
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-cache"))
        .insert_header(("Content-Security-Policy", policy.clone()))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .content_type("text/html; charset=utf-8")
        .body(page.as_str())
}

pub(crate) fn operation() -> Operation {
    Operation::new("getDocs", "installation", "This document for people").answers(
        Answer::new(200, "A page.")
            .content("text/html", json!({ "schema": { "type": "string" } }))
            .headers(&["Content-Security-Policy", "Referrer-Policy"]),
    )
}
