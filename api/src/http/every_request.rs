//! What happens around each request: its id, what is refused whatever the path, problems in one form, headers on every
//! answer, one line in the log.

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use futures_util::FutureExt;
use raincheck_shared::lifecycle::IdSource;

use super::Front;
use super::access_log::Line;
use super::code::Code;
use super::extract::Accept;
use super::openapi::header_names;
use super::problem::Problem;
use super::progress::Progress;
use super::unread_body::UnreadBody;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// So that scripts in browsers see them.
static EXPOSED: LazyLock<HeaderValue> = LazyLock::new(|| {
    let names: Vec<&str> = header_names().collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("*"))
});

/// A path without the secret that it may hold: the second half of a lease's token.
fn shown(path: &str) -> &str {
    let holds_a_token = ["/v1/leases/", "/v1/completions/"].iter().any(|prefix| path.starts_with(prefix));
    if holds_a_token { path.split('.').next().unwrap_or_default() } else { path }
}

/// Wraps every request, those that find no route included.
pub(crate) async fn every_request(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(request.headers());
    let path = request.path().to_owned();
    let method = request.method().clone();
    let progress = request.conn_data::<Progress>().cloned();
    let answering = progress.map(|progress| progress.answer(&mut request));
    let Some(front) = request.app_data::<web::Data<Front>>().cloned() else {
        return Err(problem_of(None, StatusCode::INTERNAL_SERVER_ERROR).into());
    };
    let began = front.desk.clock().monotonic();
    let line = front.logs_access.then(|| Line::new(front.clone(), began, &id, &method, request.match_pattern(), &path));
    let origin = front.cross_origin.admitted(request.headers());
    let unread = UnreadBody::of(&mut request);

    let outcome = match checked(&request, &front) {
        Ok(None) => {
            // A panic costs this request, not the thread with all its connections.
            match AssertUnwindSafe(next.call(request)).catch_unwind().await {
                Ok(Ok(response)) => Ok(in_one_form(response.map_into_boxed_body(), &path, &id)),
                Ok(Err(error)) => Err(problem_of(Some(&error), error.as_response_error().status_code())),
                Err(_) => Err(Problem::new(Code::InternalError, "the request could not be answered")),
            }
        }
        Ok(Some(answer)) => Ok(request.into_response(answer)),
        Err(problem) => Err(problem),
    };
    let told = |status: StatusCode| {
        front.counts.answered(status.as_u16());
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(request_id = id, %method, path = shown(&path), status = status.as_u16(), "request failed");
        }
    };
    match outcome {
        Ok(mut response) => {
            told(response.status());
            on_every_answer(response.headers_mut(), &id);
            vary(response.headers_mut(), origin, front.cross_origin.is_on());
            if let Some(answering) = answering {
                response = response.map_body(|_, body| answering.until_sent(body));
            }
            if let Some(unread) = unread {
                response = response.map_body(|_, body| unread.until_written(body));
            }
            let Some(line) = line else { return Ok(response) };
            let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
            let line = line.answered(response.status().as_u16(), location);
            Ok(response.map_body(|_, body| line.around(body)))
        }
        Err(problem) => {
            let mut response = problem.respond(&path, &id);
            told(response.status());
            on_every_answer(response.headers_mut(), &id);
            vary(response.headers_mut(), origin, front.cross_origin.is_on());
            if let Some(line) = line {
                let bytes = if let BodySize::Sized(bytes) = response.body().size() { bytes } else { 0 };
                line.answered(response.status().as_u16(), None).with_bytes(bytes);
            }
            if let Some(unread) = unread {
                response = response.map_body(|_, body| unread.until_written(body));
            }
            Err(InternalError::from_response(problem, response).into())
        }
    }
}

/// What is decided before any endpoint is asked: preflights, pages that may not, types that nobody can send.
fn checked(request: &ServiceRequest, front: &Front) -> Result<Option<HttpResponse>, Problem> {
    if let Some(answer) = front.cross_origin.preflight(request, &front.offers) {
        return Ok(Some(answer));
    }
    front.cross_origin.check(request)?;
    // Most clients take anything, and need not be looked up.
    if request.headers().get(header::ACCEPT).is_none_or(|accept| accept == "*/*") {
        return Ok(None);
    }
    let offer = request.match_pattern().and_then(|pattern| front.offers.at(&pattern));
    let types = offer.and_then(|offer| offer.unacceptable(request.method(), &Accept::of(request.request())));
    match types {
        Some(types) => Err(Problem::new(Code::NotAcceptable, format!("this is answered as {types}"))),
        None => Ok(None),
    }
}

/// Headers that every answer has.
pub(crate) fn on_every_answer(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// What the answer depends on, and who may see it.
pub(crate) fn vary(headers: &mut HeaderMap, origin: Option<HeaderValue>, by_origin: bool) {
    if !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static("Authorization, Accept"));
    }
    if by_origin {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// The client's id, if it can be shown and logged as it is; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|text| is_request_id(text));
    sent.map_or_else(|| IdSource.random().to_string(), ToOwned::to_owned)
}

pub(super) fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
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
fn problem_of(error: Option<&Error>, status: StatusCode) -> Problem {
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
