//! What the machine is short of for a while, so that a program cannot be started. That is no failure of its job: the attempt is
//! put off, and charged to nobody.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use raincheck_shared::lifecycle::IdSource;
use rustix::io::Errno;
use tokio::time::Instant;

use crate::{Context, Outcome};

/// Until the next try, at most; at least half of it, so that not all come back at once.
const PAUSE: Duration = Duration::from_secs(5);
/// Between two lines in the worker's log.
const QUIET: Duration = Duration::from_mins(1);

/// When the worker's log was last told.
static TOLD: Mutex<Option<Instant>> = Mutex::new(None);

/// Whether it says that files, processes, memory or room on a disk are short.
pub(super) fn is_one(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM, Errno::NOSPC, Errno::DQUOT];
    error.raw_os_error().is_some_and(|number| short.contains(&Errno::from_raw_os_error(number)))
}

/// Puts the attempt off. Its deadline bounds for how long.
pub(super) fn put_off(what: &str, error: &io::Error, context: &Context) -> Outcome {
    let now = Instant::now();
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none_or(|at| now.duration_since(at) >= QUIET) {
        *told = Some(now);
        tracing::warn!(job.kind = %context.kind(), %error, "{what}: putting off such jobs while this machine is short of that");
    }
    context.log(format!("put off, since {what}: {error}"));
    Outcome::Snooze(PAUSE.mul_f64(0.5 + IdSource.fraction() / 2.0))
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
        let outcome = put_off("it could not be given a folder", &Errno::NOSPC.into(), &context);
        let Outcome::Snooze(pause) = outcome else { panic!("{outcome:?}") };
        assert!((PAUSE / 2..=PAUSE).contains(&pause), "{pause:?}");
        let [line] = &context.logged()[..] else { panic!("{:?}", context.logged()) };
        assert!(line.starts_with("put off, since it could not be given a folder: No space left on device"), "{line}");
    }
}
