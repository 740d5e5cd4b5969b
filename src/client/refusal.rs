//! What it means that something did not come to a good end: its exit code, and all that helps.

use std::error::Error as _;
use std::fmt::Write;

use raincheck_client::{Error, ErrorKind, Finding, Problem};
use serde_json::Value;

use super::table::plain;
use crate::failure::{Exit, Failure};

/// Lines of what a handler said that are shown with its failure.
const LAST_WORDS: usize = 5;

/// The failure that an error is.
pub(crate) fn failure(error: &Error, base: &str) -> Failure {
    let what = explain(error, base);
    match error.kind() {
        ErrorKind::Api(problem) => Failure::asked(exit(problem), what),
        ErrorKind::Unreachable { .. } | ErrorKind::Timeout { .. } => Failure::asked(Exit::OutOfTime, what),
        ErrorKind::Redirected { .. } => Failure::asked(Exit::Refused, what),
        ErrorKind::Invalid(_) => Failure::Usage(what),
        _ => Failure::new(what),
    }
}

fn exit(problem: &Problem) -> Exit {
    match problem.status {
        404 | 410 => Exit::NotFound,
        408 | 429 | 500..=599 => Exit::OutOfTime,
        // It is the job that takes longer, not the answer.
        _ if problem.code == "job-not-finished" => Exit::Refused,
        _ if problem.retryable => Exit::OutOfTime,
        _ => Exit::Refused,
    }
}

/// What happened, for people.
pub(super) fn explain(error: &Error, base: &str) -> String {
    match error.kind() {
        ErrorKind::Api(problem) => refusal(problem),
        ErrorKind::Unreachable { what, source: None, .. } => format!("{base}: {}", plain(what)),
        ErrorKind::Unreachable { what, source: Some(source), .. } => {
            // What is below says why; what is above says where, which is known.
            let mut cause: &dyn std::error::Error = &**source;
            while let Some(below) = cause.source() {
                cause = below;
            }
            let trusted = !what.contains("certificate");
            format!(
                "{base} {}: {cause}",
                if trusted { "does not answer" } else { "cannot show that it is who it should be" }
            )
        }
        kind => {
            let below = error.source().map(|below| format!(": {below}")).unwrap_or_default();
            plain(&format!("{kind}{below}"))
        }
    }
}

/// Detail, pointers and the request's id: what is needed to mend it, or to ask about it. Nothing is said twice.
fn refusal(problem: &Problem) -> String {
    let mut said = format!("{} ({}, {})", plain(&problem.detail), plain(&problem.code), problem.status);
    for Finding { pointer, detail } in &problem.errors {
        let finding = format!("{pointer}: {detail}");
        if problem.detail != finding && problem.detail != *detail {
            // Writing to a String cannot fail.
            let _ = write!(said, "\n  {}", plain(&finding));
        }
    }
    if let Some(id) = &problem.request_id {
        let _ = write!(said, "\n  request {}", plain(id));
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
            let mut said = format!("job {id} failed{attempt}: {message}{code}");
            for line in last_words(error) {
                said.push_str("\n  | ");
                said.push_str(&line);
            }
            Err(Failure::asked(Exit::JobFailed, said))
        }
    }
}

/// The last lines of what a handler, or an upstream, said when it failed: its stderr, its body.
pub(super) fn last_words(error: &Value) -> Vec<String> {
    let lines: Vec<&str> = error["detail"].as_str().unwrap_or_default().lines().collect();
    let first = lines.len().saturating_sub(LAST_WORDS);
    lines[first..].iter().map(|line| plain(line.trim_end())).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(status: u16, detail: &str, errors: &[(&str, &str)]) -> Problem {
        let finding =
            |(pointer, detail): &(&str, &str)| Finding { pointer: (*pointer).to_owned(), detail: (*detail).to_owned() };
        Problem {
            status,
            code: "input-invalid".to_owned(),
            detail: detail.to_owned(),
            request_id: Some("r1".to_owned()),
            retryable: false,
            retry_after: None,
            errors: errors.iter().map(finding).collect(),
            raw: Value::Null,
        }
    }

    #[test]
    fn a_refusal_says_all_that_helps_once_and_nothing_that_moves_the_cursor() {
        let two = problem(422, "bad\u{1b}[2J", &[("/input/n", "is no number"), ("/x", "is too long")]);
        let said = "bad\u{fffd}[2J (input-invalid, 422)\n  /input/n: is no number\n  /x: is too long\n  request r1";
        assert_eq!(refusal(&two), said);
        for detail in ["/input/n: is no number", "is no number"] {
            let one = problem(422, detail, &[("/input/n", "is no number")]);
            assert_eq!(refusal(&one), format!("{detail} (input-invalid, 422)\n  request r1"));
        }
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
            assert_eq!(exit(&problem(status, "", &[])), code, "{status}");
        }
        for (name, code) in [("idempotency-in-flight", Exit::OutOfTime), ("job-not-finished", Exit::Refused)] {
            let conflict = Problem { code: name.to_owned(), retryable: true, ..problem(409, "", &[]) };
            assert_eq!(exit(&conflict), code, "{name}");
        }
    }

    #[test]
    fn of_what_a_handler_said_the_end_is_shown() {
        let detail = (1..=9).map(|n| format!("line {n}\u{7}")).collect::<Vec<_>>().join("\r\n");
        let words = last_words(&json!({ "detail": detail }));
        assert_eq!(words, ["line 5\u{fffd}", "line 6\u{fffd}", "line 7\u{fffd}", "line 8\u{fffd}", "line 9\u{fffd}"]);
        assert_eq!(last_words(&Value::Null), Vec::<String>::new());
    }
}
