//! What an attempt lacks for a while through no fault of its job's: files, processes, memory or room on a disk of this machine, or
//! the blob store. The attempt is put off, and charged to nobody.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use raincheck_shared::blobs::BlobError;
use raincheck_shared::domain::KindName;
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::telemetry::Chain;
use rustix::io::Errno;
use tokio::time::Instant;

use crate::{Context, HandlerError, Outcome};

/// Until the next try, at most; at least half of it, so that not all come back at once. It doubles with each run of the job.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Between two lines in the worker's log that say the same.
const QUIET: Duration = Duration::from_mins(1);

/// When the worker's log was last told of what.
static TOLD: Mutex<BTreeMap<&str, Instant>> = Mutex::new(BTreeMap::new());

/// Whether it says that files, processes, memory or room on a disk are short.
pub(crate) fn is_one(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM, Errno::NOSPC, Errno::DQUOT];
    error.raw_os_error().is_some_and(|number| short.contains(&Errno::from_raw_os_error(number)))
}

/// Puts the attempt off. Its deadline bounds for how long. The job's log is for clients, so it is told no causes: those name folders
/// and hosts.
pub(crate) fn put_off(what: &'static str, error: &(dyn Error + 'static), context: &Context) -> Outcome {
    let pause = pause(context.fence()).mul_f64(0.5 + IdSource.fraction() / 2.0);
    if is_due(what) {
        tracing::warn!(job.kind = %context.kind(), error = %Chain(error), "{what}: putting off such jobs until that has passed");
    }
    context.log(format!("put off, since {what}: {error}"));
    Outcome::Snooze(pause)
}

/// Tells the worker's log of what may pass before anything is put off.
pub(crate) fn warn(what: &'static str, error: &(dyn Error + 'static), kind: &KindName) {
    if is_due(what) {
        tracing::warn!(job.kind = %kind, error = %Chain(error), "{what}: trying again");
    }
}

/// Whether the worker's log has not been told of that lately. It is told now.
fn is_due(what: &'static str) -> bool {
    let now = Instant::now();
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let due = told.get(what).is_none_or(|at| now.duration_since(*at) >= QUIET);
    if due {
        told.insert(what, now);
    }
    due
}

/// What an attempt comes to that the blob store has failed.
pub(crate) fn of_blobs(what: &'static str, error: &BlobError, context: &Context) -> Outcome {
    match error {
        // What is gone does not come back.
        BlobError::Lost(_) => {
            tracing::error!(job.id = %context.job_id(), error = %Chain(error), "{what}");
            HandlerError::new(format!("{what}: {error}")).fail()
        }
        BlobError::Unavailable(_) | BlobError::Busy => put_off(what, error, context),
    }
}

/// A fence grows by two with each run: once for its start, once for its end.
fn pause(fence: i32) -> Duration {
    let runs_before = u32::try_from(fence / 2).unwrap_or(0).saturating_sub(1);
    FIRST_PAUSE.saturating_mul(1 << runs_before.min(8)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::trial::attempt;

    #[test]
    fn what_is_short_for_a_while_is_told_from_what_is_wrong() {
        for (error, short) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::AGAIN, true),
            (Errno::NOMEM, true),
            (Errno::NOSPC, true),
            (Errno::NOENT, false),
            (Errno::ACCESS, false),
            (Errno::TXTBSY, false),
        ] {
            assert_eq!(is_one(&io::Error::from(error)), short, "{error}");
        }
        assert!(!is_one(&io::Error::other("it is no error of the system's")));
    }

    #[tokio::test]
    async fn what_is_put_off_comes_back_soon_and_says_why() {
        let (context, ..) = attempt();
        let outcome = put_off("it could not be given a folder", &io::Error::from(Errno::NOSPC), &context);
        let Outcome::Snooze(pause) = outcome else { panic!("{outcome:?}") };
        assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pause), "{pause:?}");
        let [line] = &context.logged()[..] else { panic!("{:?}", context.logged()) };
        assert!(line.starts_with("put off, since it could not be given a folder: No space left on device"), "{line}");
    }

    #[tokio::test]
    async fn a_client_is_not_told_where_blobs_are() {
        let (context, ..) = attempt();
        let cause = io::Error::other("Unable to open file /srv/blobs/x");
        let outcome =
            of_blobs("its output cannot be kept", &BlobError::Unavailable(std::sync::Arc::new(cause)), &context);
        assert!(matches!(outcome, Outcome::Snooze(_)), "{outcome:?}");
        assert_eq!(context.logged(), ["put off, since its output cannot be kept: the blob store is not available"]);
    }

    #[test]
    fn who_is_put_off_again_and_again_waits_longer_and_not_for_ever() {
        let seconds = [2, 4, 6, 8, 10, 1_000].map(|fence| pause(fence).as_secs());
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
    }
}
