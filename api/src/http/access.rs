//! Lets a request through to its endpoint when whoever sent it may do that.
//!
//! What is not listed here needs a key with the scope `admin`: an endpoint that was forgotten is closed.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use raincheck_shared::domain::{JobId, Scope};

use super::Front;
use super::code::Code;
use super::extract::{TICKET, parameter, read_job_id};
use super::problem::Problem;
use super::routes::nothing_here;
use crate::engine::{Denied, Desk};

/// What has to be answered while the store is away.
const METRICS: &str = "/metrics";

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: whoever reaches the port may know.
    Nothing,
    /// A scope.
    Scope(Scope),
    /// The scope to read, or a ticket for this job.
    ReadJob(JobId),
}

impl Need {
    /// What a request with this method and path needs. The path is decoded, as the routes see it.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let by_method = Self::Scope(if reads { Scope::JobsRead } else { Scope::JobsWrite });
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        match parts.as_slice() {
            ["" | "livez" | "readyz" | "openapi.json"] | ["docs", ..] | [".well-known", "jwks.json"] if reads => {
                Self::Nothing
            }
            ["v1", "jobs", id] | ["v1", "jobs", id, "result" | "events"] if reads => {
                read_job_id(id).map_or(by_method, Self::ReadJob)
            }
            // It makes something, but nothing that its maker could not read already.
            ["v1", "jobs", _, "tickets"] => Self::Scope(Scope::JobsRead),
            // Its last part is a secret of its own.
            ["v1", "completions", _] if *method == Method::POST => Self::Nothing,
            ["v1", "leases", ..] => Self::Scope(Scope::JobsWork),
            ["v1", "jobs" | "kinds" | "batches" | "deliveries" | "schedules", ..] => by_method,
            _ => Self::Scope(Scope::Admin),
        }
    }

    fn scope(self) -> Option<Scope> {
        match self {
            Self::Nothing => None,
            Self::Scope(scope) => Some(scope),
            Self::ReadJob(_) => Some(Scope::JobsRead),
        }
    }

    fn job(self) -> Option<JobId> {
        match self {
            Self::ReadJob(job) => Some(job),
            Self::Nothing | Self::Scope(_) => None,
        }
    }
}

/// Wraps every request. Whoever asks is in the request's extensions from here on.
pub(crate) async fn access(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let need = Need::of(request.method(), request.match_info().as_str());
    let Some(scope) = need.scope() else { return next.call(request).await };
    let Some(front) = request.app_data::<web::Data<Front>>().cloned() else {
        return Err(Problem::new(Code::InternalError, "nobody is there to ask").into());
    };
    let shown = shown(&request);
    let caller = if request.match_info().as_str() == METRICS {
        front.desk.watcher(shown.as_deref()).await
    } else {
        front.desk.caller(shown.as_deref()).await
    };
    let caller = caller.map_err(denied)?;
    if caller.is_anybody() {
        front.own_hosts.check(request.headers())?;
    }
    if !caller.may(scope, need.job()) {
        // Whoever has a good key hears that a path is wrong, rather than that he may not.
        if request.resource_map().match_pattern(request.match_info().as_str()).is_none() {
            return Err(nothing_here().into());
        }
        return Err(forbidden(scope, caller.has_ticket()).into());
    }
    request.extensions_mut().insert(caller);
    next.call(request).await
}

/// The key or ticket of a request. What cannot be one comes as a text that is none: it was shown, and is not good.
fn shown(request: &ServiceRequest) -> Option<String> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let shown = if reads { parameter(request.query_string(), TICKET) } else { None };
        // URLs are kept in logs and histories, where no key belongs.
        return shown.map(|shown| if Desk::is_ticket(&shown) { shown } else { String::new() });
    };
    let one = headers.next().is_none();
    let key = header.to_str().ok().and_then(bearer).filter(|_| one);
    Some(key.unwrap_or_default().to_owned())
}

/// The key or ticket in the value of an `Authorization`.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn denied(denied: Denied) -> Problem {
    let (detail, challenge) = match denied {
        Denied::NothingShown => ("show a key: Authorization: Bearer rk_…", r#"Bearer realm="raincheck""#),
        Denied::NotGood => (
            "this key or ticket is none of ours, or has expired or was revoked",
            r#"Bearer realm="raincheck", error="invalid_token""#,
        ),
        Denied::Undecided(refusal) => return refusal.into(),
    };
    let problem = Problem::new(Code::Unauthenticated, detail);
    problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

fn forbidden(scope: Scope, has_ticket: bool) -> Problem {
    let detail = if has_ticket {
        "a ticket is good for reading its own job, and for nothing else".to_owned()
    } else {
        format!("the key lacks the scope {scope}")
    };
    let challenge = match scope {
        Scope::JobsWrite => r#"Bearer realm="raincheck", error="insufficient_scope", scope="jobs:write""#,
        Scope::JobsRead => r#"Bearer realm="raincheck", error="insufficient_scope", scope="jobs:read""#,
        Scope::JobsWork => r#"Bearer realm="raincheck", error="insufficient_scope", scope="jobs:work""#,
        Scope::Admin => r#"Bearer realm="raincheck", error="insufficient_scope", scope="admin""#,
    };
    Problem::new(Code::Forbidden, detail).with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_closed_to_all_but_admins() {
        for (method, path) in [
            (Method::GET, "/metrics"),
            (Method::POST, "/v1/queues/default/pause"),
            (Method::GET, "/v1/whatever"),
            (Method::GET, "//livez"),
            (Method::GET, "/livez/"),
            (Method::POST, "/livez"),
            (Method::GET, "/v1/completions/x"),
            (Method::POST, "/v1/completions/x/y"),
            (Method::OPTIONS, "*"),
        ] {
            assert_eq!(Need::of(&method, path), Need::Scope(Scope::Admin), "{method} {path}");
        }
    }

    #[test]
    fn only_reads_of_one_job_are_open_to_a_ticket() {
        let id = "0192f0c1-2345-7abc-8def-0123456789ab";
        for what in ["", "/result", "/events"] {
            let path = format!("/v1/jobs/{id}{what}");
            assert_eq!(Need::of(&Method::GET, &path), Need::ReadJob(id.parse().unwrap()));
            assert_eq!(Need::of(&Method::POST, &path), Need::Scope(Scope::JobsWrite));
        }
        for path in [
            format!("/v1/jobs/{id}/logs"),
            format!("/v1/jobs/{id}/deliveries"),
            format!("/v1/jobs/{id}/x/result"),
            "/v1/jobs".to_owned(),
        ] {
            assert_eq!(Need::of(&Method::GET, &path), Need::Scope(Scope::JobsRead), "{path}");
        }
    }
}
