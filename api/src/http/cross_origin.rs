//! Web pages of other origins: those that are configured may use the API, the others can change nothing.
//!
//! No cookie or other thing that a browser adds by itself lets anybody in, so an answer may be shown to a page that is
//! allowed. But an API on loopback can be reached by every page that somebody beside it looks at: a POST that a browser
//! sends without asking first must not submit a job.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use raincheck_shared::config::HttpSettings;

use super::code::Code;
use super::openapi::Offers;
use super::problem::Problem;

/// How long a browser may remember the answer to a preflight, in seconds: the longest that Chromium does.
const REMEMBERED: &str = "7200";

/// Which origins may use the API.
#[derive(Debug, Clone)]
pub(crate) struct CrossOrigin {
    allowed: Vec<String>,
    /// Where the API itself is, as browsers see it.
    own: Option<String>,
}

impl CrossOrigin {
    /// As configured.
    pub(crate) fn of(settings: &HttpSettings) -> Self {
        let own = settings.public_url.as_deref().map(|url| {
            let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
            format!("{scheme}://{}", rest.split('/').next().unwrap_or_default())
        });
        Self { allowed: settings.allowed_origins.clone(), own }
    }

    /// The value of `Access-Control-Allow-Origin` for a request, if there is one to be.
    pub(crate) fn admitted(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        if self.allowed.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// Whether answers depend on where a request comes from.
    pub(crate) fn is_on(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// The answer to a preflight of an origin that is allowed, for a path that exists. Others are answered as any
    /// OPTIONS is.
    pub(crate) fn preflight(&self, request: &ServiceRequest, offers: &Offers) -> Option<HttpResponse> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let origin = self.admitted(headers)?;
        let pattern = request.match_pattern()?;
        let offer = offers.at(&pattern)?;
        let mut response = HttpResponse::NoContent();
        response
            .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, origin))
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, offer.methods.as_str()))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, offers.request_headers.as_str()))
            .insert_header((ACCESS_CONTROL_MAX_AGE, REMEMBERED))
            .insert_header((VARY, "Access-Control-Request-Method, Access-Control-Request-Headers"));
        Some(response.finish())
    }

    /// Refuses what a page of an origin that is not allowed would change.
    pub(crate) fn check(&self, request: &ServiceRequest) -> Result<(), Problem> {
        let headers = request.headers();
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) || self.admitted(headers).is_some()
        {
            return Ok(());
        }
        let origin = origin.to_str().unwrap_or_default();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if self.own.as_deref() == Some(origin) || (authority.is_some() && authority == host) {
            return Ok(());
        }
        Err(Problem::new(
            Code::OriginNotAllowed,
            "web pages of this origin may not change anything: http.allowed_origins does not list it",
        ))
    }
}
