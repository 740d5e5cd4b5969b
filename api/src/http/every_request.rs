//! What happens around each request: its id, problems in one form, headers on every answer, one line in the log.

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use futures_util::FutureExt;
use raincheck_shared::lifecycle::IdSource;

use super::Front;
use super::code::Code;
use super::openapi::header_names;
use super::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// So that scripts in browsers see them.
static EXPOSED: LazyLock<HeaderValue> = LazyLock::new(|| {
    let names: Vec<&str> = header_names().collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("*"))
});

/// Wraps every request, those that find no route included.
pub(crate) async fn every_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(request.headers());
    let path = request.path().to_owned();
    let method = request.method().clone();
    let clock = request.app_data::<web::Data<Front>>().cloned();
    let now = || clock.as_ref().map(|front| front.desk.clock().monotonic());
    let began = now();

    // A panic costs this request, not the thread with all its connections.
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let failed = match outcome {
        Ok(Ok(response)) => Ok(in_one_form(response.map_into_boxed_body(), &path, &id)),
        Ok(Err(error)) => Err(problem_of(Some(&error), error.as_response_error().status_code())),
        Err(_) => Err(Problem::new(Code::InternalError, "the request could not be answered")),
    };
    let took = began.zip(now()).map(|(began, now)| now.saturating_duration_since(began)).unwrap_or_default();
    let log = |status: u16| {
        if let Some(front) = &clock {
            front.counts.answered(status);
        }
        let took_ms = took.as_secs_f64() * 1_000.0;
        if status >= 500 && status != 503 {
            tracing::error!(request_id = id, %method, path, status, took_ms, "request failed");
        } else {
            tracing::debug!(request_id = id, %method, path, status, took_ms, "request answered");
        }
    };
    match failed {
        Ok(mut response) => {
            log(response.status().as_u16());
            on_every_answer(response.headers_mut(), &id);
            Ok(response)
        }
        Err(problem) => {
            let mut response = problem.respond(&path, &id);
            log(response.status().as_u16());
            on_every_answer(response.headers_mut(), &id);
            Err(InternalError::from_response(problem, response).into())
        }
    }
}

/// Headers that every answer has.
pub(crate) fn on_every_answer(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The client's id, if it can be shown and logged as it is; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |text: &&str| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
    };
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
    sent.map_or_else(|| IdSource.random().to_string(), ToOwned::to_owned)
}

fn in_one_form(response: ServiceResponse<BoxBody>, path: &str, id: &str) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = problem_of(response.response().error(), status);
    response.into_response(problem.respond(path, id))
}

/// Our own problem, or what the framework's bare status amounts to.
fn problem_of(error: Option<&Error>, status: actix_web::http::StatusCode) -> Problem {
    if let Some(problem) = error.and_then(|error| error.as_error::<Problem>()) {
        return problem.clone();
    }
    let code = Code::of_status(status);
    let detail = match error {
        Some(error) if status.is_client_error() => error.to_string(),
        _ => code.title().to_owned(),
    };
    Problem::new(code, detail)
}
