//! What a body says it is.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use raincheck_shared::domain::Payload;

use crate::http::code::Code;
use crate::http::problem::Problem;

const LONGEST: usize = 255;

fn unsupported(detail: impl Into<String>) -> Problem {
    Problem::new(Code::UnsupportedMediaType, detail)
}

fn declared(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let encoded = request.headers().get(CONTENT_ENCODING).map(|v| v.to_str().unwrap_or_default());
    if encoded.is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
        return Err(unsupported("send the body without Content-Encoding: it is kept byte for byte"));
    }
    let Some(value) = request.headers().get(CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text.len() > LONGEST || !is_media_type(text) {
        return Err(unsupported("Content-Type is not a media type such as image/jpeg"));
    }
    Ok(Some(text.to_owned()))
}

/// Whether this is a media type, with or without parameters.
pub(crate) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    essence.split_once('/').is_some_and(|(major, minor)| is_token(major) && is_token(minor))
}

/// Demands a JSON body. It must be declared as such: `curl -d` declares a form, and a web page can send what is declared
/// as nothing or as text to any host, unasked.
pub(crate) fn json_body(request: &HttpRequest) -> Result<(), Problem> {
    match declared(request)? {
        Some(declared) if Payload::is_json_type(&declared) => Ok(()),
        Some(declared) => {
            let essence = declared.split(';').next().unwrap_or_default().trim();
            Err(unsupported(format!("send Content-Type: application/json, not {essence}")))
        }
        None => Err(unsupported("send Content-Type: application/json")),
    }
}

/// The media type of a body that may be anything.
pub(crate) fn raw_body(request: &HttpRequest) -> Result<String, Problem> {
    Ok(declared(request)?.unwrap_or_else(|| "application/octet-stream".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_two_tokens_with_or_without_parameters() {
        for good in ["image/jpeg", "application/vnd.a+json; charset=utf-8", "text/plain;q=\"a/b\""] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in ["", "image", "image/", "/jpeg", "a b/c", "a/b/c", "image/jpeg\u{7f}"] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
