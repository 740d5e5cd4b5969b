//! What must hold for the bodies of commands on what is there already.

use bytes::Bytes;
use raincheck_shared::domain::{FailureCode, KindName, QueueName, TenantName, Timestamp};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{print_body, refused, told};
use crate::engine::LeaseEnd;
use crate::http::cancel_job::{LONGEST_REASON, read_reason};
use crate::http::complete_attempt::read_problem;
use crate::http::redrive::{self, read_wish};
use crate::http::wire::{LONGEST_MESSAGE, read_retry, write_cursor};

/// The first byte says which: the reason of a cancel, the options of a retry, what is to be redriven, or the problem that an
/// upstream ends an attempt with. What is refused says the field; what is taken prints as what was read, within its bounds.
pub fn command(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else { return };
    match which % 4 {
        0 => match read_reason(body) {
            Err(problem) => refused(&problem),
            Ok(reason) => {
                assert!(reason.iter().all(|reason| reason.chars().count() <= LONGEST_REASON && !reason.contains('\0')));
                assert_eq!(read_reason(json!({ "reason": reason }).to_string().as_bytes()).ok(), Some(reason));
            }
        },
        1 => match read_retry(body) {
            Err(problem) => refused(&problem),
            Ok((options, findings)) => {
                told(&findings);
                if findings.is_empty() {
                    let printed = Bytes::from(Value::Object(print_body(&options)).to_string());
                    assert_eq!(read_retry(&printed).ok(), Some((options, findings)));
                }
            }
        },
        2 => redrive_body(body),
        _ => match read_problem(body) {
            Err(problem) => refused(&problem),
            Ok(LeaseEnd::Fail { code: FailureCode::UpstreamStatus, message, detail, retry_after: None, .. }) => {
                assert!(!message.trim().is_empty() && message.chars().count() <= LONGEST_MESSAGE);
                assert_eq!(detail, String::from_utf8_lossy(body));
            }
            Ok(other) => panic!("{other:?}"),
        },
    }
}

fn redrive_body(body: &[u8]) {
    let read = |body: &[u8]| read_wish(body, TenantName::default());
    let wish = match read(body) {
        Ok(wish) => wish,
        Err(problem) => return refused(&problem),
    };
    assert!((1..=redrive::MOST).contains(&wish.limit));
    let instant = |at: Option<Timestamp>| at.map(|at| at.format(&Rfc3339).expect("an instant that prints"));
    let filter = json!({
        "kind": wish.filter.kind.as_ref().map(KindName::as_str),
        "queue": wish.filter.queue.as_ref().map(QueueName::as_str),
        "error_code": wish.filter.error_code.map(FailureCode::as_str),
        "since": instant(wish.filter.since),
        "until": instant(wish.filter.until),
        "tags": wish.filter.tags,
    });
    let cursor = wish.after.map(write_cursor);
    let printed = json!({ "limit": wish.limit, "dry_run": wish.dry_run, "cursor": cursor, "filter": filter });
    let again = read(printed.to_string().as_bytes());
    let again = again.map(|again| (again.filter, again.after, again.limit, again.dry_run));
    assert_eq!(again.ok(), Some((wish.filter, wish.after, wish.limit, wish.dry_run)), "{printed}");
}
