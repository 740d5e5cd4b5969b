//! `POST /v1/completions/{completion}`: an upstream that accepted a job says what came of it. Whoever has the URL may.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::FailureCode;
use serde_json::{Value, json};

use super::Front;
use super::code::Code;
use super::complete_lease::take;
use super::extract::{self, Query};
use super::held_lease::{ended, is_over};
use super::openapi::{Operation, media};
use super::problem::{Finding, PROBLEM_JSON, Problem};
use super::wire::LONGEST_MESSAGE;
use crate::engine::{Holder, LeaseEnd, LeaseToken};

/// The longest problem that is read, in bytes.
const LONGEST_PROBLEM: u64 = 64 * 1024;

/// Ends the attempt that the URL was made for: with the body as its result, or as failed when that is a problem.
pub(crate) async fn complete_attempt(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
) -> Result<HttpResponse, Problem> {
    let lease = completion(&request)?;
    Query::of(&request)?.check()?;
    if !is_problem(&extract::raw_body(&request)?) {
        return take(&request, body, &front, Holder::Upstream, lease).await;
    }
    // Before it is read: it may not be worth reading.
    front.desk.attempt(Holder::Upstream, lease).await?;
    let body = extract::read_body(&request, body, LONGEST_PROBLEM).await?;
    ended(lease, front.desk.end_lease(Holder::Upstream, lease, read_problem(&body)?).await?)
}

/// The `{completion}` of the path.
fn completion(request: &HttpRequest) -> Result<LeaseToken, Problem> {
    request.match_info().get("completion").unwrap_or_default().parse().map_err(|_| {
        Problem::new(Code::MalformedRequest, "this is not a URL of `Raincheck-Completion-Url`").at("/completion")
    })
}

fn is_problem(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(PROBLEM_JSON)
}

/// What a problem says of why the job failed. Members that are not known here are details, as all of it is.
pub(super) fn read_problem(body: &[u8]) -> Result<LeaseEnd, Problem> {
    let not_an_object = || Problem::new(Code::MalformedRequest, "a problem is a JSON object");
    let problem: Value = serde_json::from_slice(body).map_err(|_| not_an_object())?;
    let fields = problem.as_object().ok_or_else(not_an_object)?;
    let mut findings = Vec::new();
    let mut lines = Vec::new();
    for name in ["detail", "title"] {
        match fields.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(line)) if line.trim().is_empty() => {}
            // It may be cut: what is left has to say something.
            Some(Value::String(line)) => lines.push(line.trim_start()),
            Some(_) => findings.push(Finding::new(format!("/{name}"), "must be text")),
        }
    }
    let retryable = match fields.get("retryable") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(retryable)) => *retryable,
        Some(_) => {
            findings.push(Finding::new("/retryable", "must be true or false"));
            false
        }
    };
    if !findings.is_empty() {
        return Err(Problem::of_findings(Code::InputInvalid, findings));
    }
    Ok(LeaseEnd::Fail {
        code: FailureCode::UpstreamStatus,
        message: lines.first().unwrap_or(&"the upstream says that it failed").chars().take(LONGEST_MESSAGE).collect(),
        detail: String::from_utf8_lossy(body).into_owned(),
        retryable,
        retry_after: None,
    })
}

pub(crate) fn operation() -> Operation {
    let says = "For an upstream of a kind with `completion = \"callback\"` that answered 202 without a `Location`: the URL is the one \
                it was sent in `Raincheck-Completion-Url`, and needs no key. The body is the result as it is, with its own \
                `Content-Type`; one of `application/problem+json` says that the job failed, which is tried again if its \
                `retryable` is true. Sent twice, it is recorded once; with another end the second is refused, as is one that \
                comes after the attempt was canceled or took longer than it may.";
    let problem = json!({
        "type": "object",
        "properties": {
            "title": { "type": ["string", "null"] },
            "detail": { "type": ["string", "null"] },
            "retryable": { "type": ["boolean", "null"], "default": false },
        },
    });
    Operation::new("completeAttempt", "leases", "Say what an upstream made of a job")
        .says(says)
        .takes(&["path.completion"])
        .body(json!({
            "required": false,
            "content": { "*/*": { "schema": {} }, PROBLEM_JSON: media(&problem, &["completion-failure"]) },
        }))
        .answers(is_over())
        .reads()
        .fails(&[Code::LeaseLost, Code::PayloadTooLarge, Code::UnsupportedMediaType])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(body: &str) -> (String, bool) {
        match read_problem(body.as_bytes()).unwrap() {
            LeaseEnd::Fail { message, retryable, .. } => (message, retryable),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_problem_says_why_and_whether_another_attempt_could_mend_it() {
        assert_eq!(failure(r#"{"title": "Burnt", "detail": "too hot"}"#), ("too hot".to_owned(), false));
        assert_eq!(failure(r#"{"title": "Burnt", "retryable": true}"#), ("Burnt".to_owned(), true));
        assert_eq!(failure("{}"), ("the upstream says that it failed".to_owned(), false));
        let late = format!(r#"{{"detail": "{}burnt"}}"#, " ".repeat(LONGEST_MESSAGE));
        assert_eq!(failure(&late), ("burnt".to_owned(), false));
        for (body, told) in [
            ("", "a problem is a JSON object"),
            ("[]", "a problem is a JSON object"),
            (r#"{"detail": 7}"#, "/detail: must be text"),
            (r#"{"title": "x", "retryable": "yes"}"#, "/retryable: must be true or false"),
        ] {
            assert_eq!(read_problem(body.as_bytes()).unwrap_err().detail(), told, "{body}");
        }
    }

    #[test]
    fn a_problem_is_one_whatever_its_parameters() {
        assert!(is_problem("Application/Problem+JSON; charset=utf-8"));
        assert!(!is_problem("application/json"));
    }
}
