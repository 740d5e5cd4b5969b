//! Attempts that run longer than they may.

use raincheck_shared::config::Program;

use super::*;
use crate::handlers::trial::{gone, pid_in};
use crate::handlers::{Command, Scratch};

#[tokio::test]
async fn a_handler_that_ignores_its_timeout_is_dropped() {
    for panics in [false, true] {
        let (mut trial, dropped) = deaf(panics);
        trial.job.run_timeout = Duration::from_millis(20);
        let (failure, _) = to_retry(trial.ended().await);
        assert_eq!((failure.code, &*failure.message), (FailureCode::RunTimeout, "ran longer than the 20ms it may"));
        assert!(dropped.load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn a_handler_that_heeds_its_timeout_may_say_what_it_was_at() {
    let mut trial = Trial::of(Closure(|_, context: Context| async move {
        context.canceled().await;
        HandlerError::new("half done").with_detail("step 3 of 5").retry()
    }));
    trial.job.run_timeout = Duration::from_millis(20);
    let (failure, _) = to_retry(trial.ended().await);
    assert_eq!((failure.code, failure.detail.as_deref()), (FailureCode::RunTimeout, Some("step 3 of 5")));
    assert!(!trial.canceled.is_cancelled(), "a timeout is the attempt's own");

    trial.job.fence.attempt = 3;
    assert_eq!(failed(trial.ended().await).code, FailureCode::AttemptsExhausted);
    (trial.job.fence.attempt, trial.job.max_attempts) = (1, 1);
    assert_eq!(failed(trial.ended().await).code, FailureCode::RunTimeout);
}

#[tokio::test]
async fn a_timeout_ends_a_program_and_what_it_started() {
    let folder = Folder::new();
    let file = folder.file("pid");
    // The grandchild is asked in vain, and holds the program's pipes.
    let script =
        format!("echo started >&2; sh -c 'trap \"\" TERM; echo $$ > {}; sleep 1000; true'; true", file.display());
    let argv = ["sh", "-c", &script].map(str::to_owned).to_vec();
    let program = Program { argv, ..Program::default() };
    let mut trial = Trial::of(Command::new(program, "text/plain", Arc::new(Scratch::inside(None))));
    trial.job.run_timeout = Duration::from_secs(2);
    let (ended, pid) = tokio::join!(trial.ended(), pid_in(&file));
    let (failure, _) = to_retry(ended);
    assert_eq!((failure.code, failure.detail.as_deref()), (FailureCode::RunTimeout, Some("started")));
    gone(pid).await;
}

#[tokio::test]
async fn only_a_timeout_that_ends_the_job_says_that_nobody_wants_its_work() {
    let unwanted = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&unwanted);
    let mut trial = Trial::of(Closure(move |_, context: Context| {
        let note = Arc::clone(&note);
        async move {
            context.canceled().await;
            note.store(context.is_unwanted(), Ordering::Relaxed);
            Outcome::stopped()
        }
    }));
    trial.job.run_timeout = Duration::from_millis(20);
    let cases = [(1, None, false), (1, Some(60), false), (1, Some(-1), true), (3, None, true)];
    for (attempt, left, expected) in cases {
        trial.job.fence.attempt = attempt;
        trial.job.deadline = left.map(|left| Timestamp::UNIX_EPOCH + time::Duration::seconds(left));
        let ended = trial.ended().await;
        assert_eq!(matches!(ended, Ended::Failed(_)), expected, "{ended:?}");
        assert_eq!(unwanted.load(Ordering::Relaxed), expected, "attempt {attempt}, {left:?} s left");
    }
}
