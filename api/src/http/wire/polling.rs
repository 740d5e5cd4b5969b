//! How soon to ask again.

use std::time::Duration;

use raincheck_shared::domain::{Job, Status, Timestamp};

const SOONEST: f64 = 1.0;
const LATEST: f64 = 30.0;
/// A fifth of the age: whoever polls sees the end at most 20 % later than it came.
const SHARE_OF_AGE: f64 = 0.2;
/// To both sides, so that those who came together do not come back together.
const JITTER: f64 = 0.2;

/// How long to wait before reading a live job again; `None` once it has ended. `random` is in `0.0..1.0`.
pub(crate) fn poll_after(job: &Job, now: Timestamp, random: f64) -> Option<Duration> {
    if job.status.is_done() {
        return None;
    }
    let due = match job.status {
        Status::Scheduled => job.run_at,
        Status::Retrying => job.next_attempt_at,
        _ => None,
    };
    let age = (now - job.id.created_at()).as_seconds_f64() * SHARE_OF_AGE;
    // Nothing can have come of it before it is due.
    let seconds = due.map_or(age, |due| (due - now).as_seconds_f64().max(age)).clamp(SOONEST, LATEST);
    let spread = 1.0 + JITTER * (2.0 * random - 1.0);
    // Whole milliseconds, and never under the second that Retry-After rounds to.
    Some(Duration::from_secs_f64((seconds * spread).clamp(SOONEST, LATEST)))
}

/// The same in whole seconds, at least one.
pub(crate) fn retry_after(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_millis() >= 500 || wait.as_secs() == 0)
}
