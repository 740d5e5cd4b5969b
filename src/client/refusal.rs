//! What an answer that is no success means: its exit code, and all that its problem document says.

use std::fmt::Write;

use serde_json::Value;

use super::connection::Answer;
use super::table::plain;
use crate::failure::{Exit, Failure};

/// Whether the very same request may succeed a little later.
pub(super) fn is_passing(answer: &Answer) -> bool {
    matches!(answer.status, 408 | 429 | 500..=599)
        || answer.status == 409 && answer.json["retryable"] == true && answer.json["code"] == "idempotency-in-flight"
}

/// The failure that an answer is.
pub(super) fn refusal(answer: &Answer) -> Failure {
    Failure::asked(exit(answer), explain(answer))
}

fn exit(answer: &Answer) -> Exit {
    match answer.status {
        404 | 410 => Exit::NotFound,
        _ if is_passing(answer) => Exit::OutOfTime,
        _ => Exit::Refused,
    }
}

/// Detail, pointers and the request's id: what is needed to mend it, or to ask about it.
pub(super) fn explain(answer: &Answer) -> String {
    let problem = &answer.json;
    let text = |name: &str| problem[name].as_str().map(plain);
    let mut said = match text("detail").or_else(|| text("title")) {
        Some(detail) => detail,
        None => "not an answer of a raincheck".to_owned(),
    };
    // Writing to a String cannot fail.
    let _ = match text("code") {
        Some(code) => write!(said, " ({code}, {})", answer.status),
        None => write!(said, " ({})", answer.status),
    };
    for finding in problem["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| finding[name].as_str().map(plain).unwrap_or_default();
        let _ = write!(said, "\n  {}: {}", part("pointer"), part("detail"));
    }
    if let Some(id) = text("request_id") {
        let _ = write!(said, "\n  request {id}");
    }
    said
}

/// What the end of a job means for who waited for it.
pub(super) fn outcome(job: &Value) -> Result<(), Failure> {
    let id = job["id"].as_str().unwrap_or("?");
    match job["status"].as_str().unwrap_or_default() {
        "succeeded" => Ok(()),
        status @ ("canceled" | "expired") => Err(Failure::asked(
            Exit::JobEnded,
            match job["cancel"]["reason"].as_str() {
                Some(reason) => format!("job {id} was canceled: {}", plain(reason)),
                None if status == "expired" => format!("job {id} has expired: it did not start in time"),
                None => format!("job {id} was canceled"),
            },
        )),
        _ => {
            let error = &job["error"];
            let message = error["message"].as_str().map_or_else(|| "no details".to_owned(), plain);
            let code = error["code"].as_str().map(|code| format!(" ({})", plain(code))).unwrap_or_default();
            let attempt = error["attempt"].as_u64().map(|n| format!(" in attempt {n}")).unwrap_or_default();
            Err(Failure::asked(Exit::JobFailed, format!("job {id} failed{attempt}: {message}{code}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, json: Value) -> Answer {
        Answer { status, retry_after: None, etag: None, json }
    }

    #[test]
    fn a_refusal_says_all_that_helps_and_nothing_that_moves_the_cursor() {
        let problem = json!({"detail": "bad\u{1b}[2J", "code": "input-invalid", "request_id": "r1",
            "errors": [{"pointer": "/input/n", "detail": "is no number"}]});
        let said = explain(&answer(422, problem));
        assert_eq!(said, "bad\u{fffd}[2J (input-invalid, 422)\n  /input/n: is no number\n  request r1");
        assert_eq!(explain(&answer(301, Value::Null)), "not an answer of a raincheck (301)");
    }

    #[test]
    fn every_status_has_its_exit_code() {
        for (status, code) in [
            (400, Exit::Refused),
            (401, Exit::Refused),
            (404, Exit::NotFound),
            (408, Exit::OutOfTime),
            (410, Exit::NotFound),
            (422, Exit::Refused),
            (429, Exit::OutOfTime),
            (503, Exit::OutOfTime),
        ] {
            assert_eq!(exit(&answer(status, Value::Null)), code, "{status}");
        }
    }
}
