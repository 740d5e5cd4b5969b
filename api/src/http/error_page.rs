//! `GET /docs/errors/{code}`: what an error means and what to do about it, where a problem's `type` points to. The pages are
//! those of `docs/errors/`, which are part of the binary.

mod markup;

use std::sync::LazyLock;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Front;
use super::code::Code;
use super::extract::Query;
use super::openapi::{Answer, Operation};
use super::problem::Problem;

macro_rules! failures {
    ($($code:literal),+ $(,)?) => {
        [$(($code, include_str!(concat!("../../../docs/errors/", $code, ".md")))),+]
    };
}

/// The codes of failed jobs, which stand in their `error`.
const FAILURES: [(&str, &str); 6] = failures!(
    "attempts-exhausted",
    "handler-error",
    "output-too-large",
    "run-timeout",
    "upstream-status",
    "worker-lost",
);

const STYLE: &str = "body{max-width:42rem;margin:3rem auto;padding:0 1rem;font:16px/1.6 system-ui,sans-serif}\
    code{background:#8882;padding:.1em .3em;border-radius:3px}:root{color-scheme:light dark}";

/// Nothing is loaded, and nothing but the style above is applied.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The page of a code.
pub(crate) async fn error_page(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    let code = request.match_info().get("code").unwrap_or_default();
    let page = Code::PAGES.iter().chain(&FAILURES).find(|(known, _)| *known == code);
    let Some((code, markdown)) = page else {
        return Err(Problem::new(Code::RouteNotFound, "there is no error with this code"));
    };
    let body = markup::html(markdown, &front.links.to("/docs/errors/"));
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{code}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style>\n{body}</html>\n"
    );
    Ok(HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-cache"))
        .insert_header(("Content-Security-Policy", POLICY.clone()))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .content_type("text/html; charset=utf-8")
        .body(page))
}

pub(crate) fn operation() -> Operation {
    Operation::new("getErrorPage", "installation", "What an error means")
        .says("Where the `type` of a problem points to: for people.")
        .takes(&["path.code"])
        .answers(
            Answer::new(200, "A page.")
                .content("text/html", json!({ "schema": { "type": "string" } }))
                .headers(&["Content-Security-Policy", "Referrer-Policy"]),
        )
        .fails(&[Code::InputInvalid, Code::RouteNotFound])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page_with_its_name_and_without_markdown_that_was_not_understood() {
        assert_eq!(Code::PAGES.len(), Code::ALL.len());
        for (code, markdown) in Code::PAGES.iter().chain(&FAILURES) {
            let page = markup::html(markdown, "/docs/errors/");
            assert!(page.starts_with(&format!("<h1><code>{code}</code></h1>")), "{page}");
            for rest in ["**", "](", "`", ".md", "```", "<p>-", "<p>|", "<p>#"] {
                assert!(!page.contains(rest), "{code}: {rest} in {page}");
            }
        }
    }
}
