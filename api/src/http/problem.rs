//! `application/problem+json` (RFC 9457), for everything that is not a success.

use std::fmt;

use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use raincheck_shared::domain::JobId;
use serde::Serialize;

use super::code::Code;

/// The media type.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Findings that are told.
const MOST_FINDINGS: usize = 50;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A JSON pointer into the body, or `/` and the name of a path or query parameter.
    pub(crate) pointer: String,
    /// What is wrong, in a sentence.
    pub(crate) detail: String,
}

impl Finding {
    /// A finding.
    pub(crate) fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// An answer that is not a success. Handlers return it as their error.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    code: Code,
    retryable: bool,
    detail: String,
    findings: Vec<Finding>,
    job: Option<JobId>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The body.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'static str,
    retryable: bool,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "<[Finding]>::is_empty")]
    errors: &'a [Finding],
}

impl Problem {
    /// A problem, and what there is to say about this case of it.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let retryable = code.is_retryable();
        Self { code, retryable, detail: detail.into(), findings: Vec::new(), job: None, headers: Vec::new() }
    }

    /// Everything that is wrong with a request; never nothing.
    pub(crate) fn of_findings(code: Code, mut findings: Vec<Finding>) -> Self {
        let detail = match findings.as_slice() {
            [one] if one.pointer.is_empty() => one.detail.clone(),
            [one] => format!("{}: {}", one.pointer, one.detail),
            many => format!("{} things are wrong, see `errors`", many.len()),
        };
        findings.truncate(MOST_FINDINGS);
        Self { findings, ..Self::new(code, detail) }
    }

    /// The same, pointing to one thing.
    #[must_use]
    pub(crate) fn at(mut self, pointer: &str) -> Self {
        self.findings.push(Finding::new(pointer, self.detail.clone()));
        self
    }

    /// The same, naming a job.
    #[must_use]
    pub(crate) fn about(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// The same where the very same request never succeeds, though others with this code may.
    #[must_use]
    pub(crate) fn for_good(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// The same with `Retry-After`.
    #[must_use]
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        self.with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The same with a header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What there is to say about this case of it.
    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Its status code.
    pub(crate) fn status(&self) -> u16 {
        self.code.status().as_u16()
    }

    /// The same about one item of several, without what only a whole answer has.
    pub(crate) fn of_item(&self) -> serde_json::Value {
        let mut item = serde_json::json!({
            "type": format!("/docs/errors/{}", self.code.as_str()),
            "title": self.code.title(),
            "status": self.status(),
            "detail": self.detail,
            "code": self.code.as_str(),
            "retryable": self.retryable,
        });
        if let Some(job) = self.job {
            item["job_id"] = job.to_string().into();
        }
        if !self.findings.is_empty() {
            item["errors"] = serde_json::json!(self.findings);
        }
        item
    }

    /// The answer to the request with this path and id.
    pub(crate) fn respond(&self, instance: &str, request_id: &str) -> HttpResponse {
        let status = self.code.status();
        let body = Body {
            r#type: format!("/docs/errors/{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            detail: &self.detail,
            instance,
            code: self.code.as_str(),
            retryable: self.retryable,
            request_id,
            job_id: self.job.map(|id| id.to_string()),
            errors: &self.findings,
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        response.insert_header(("Cache-Control", "no-store"));
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        // Strings and numbers only: this cannot fail.
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> actix_web::http::StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        // What wraps every request writes it again, with the path and the id.
        self.respond("", "")
    }
}
