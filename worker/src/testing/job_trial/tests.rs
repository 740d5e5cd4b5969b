//! Handlers as their authors would write and try them.

use std::sync::atomic::AtomicUsize;

use raincheck_shared::domain::FailureCode;

use super::*;
use crate::handlers::{Sleep, Takeaway};
use crate::{Context, HandlerError, Outcome, typed};

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn made(state: State) -> String {
    let State::Succeeded(output) = state else { panic!("not a success: {state:?}") };
    String::from_utf8(output.bytes.to_vec()).unwrap()
}

#[track_caller]
fn failed(state: State) -> Failure {
    let State::Failed(failure) = state else { panic!("not a failure: {state:?}") };
    failure
}

#[tokio::test]
async fn time_passes_only_when_it_is_told_to() {
    let mut job = JobTrial::of(Sleep).json(&serde_json::json!({"seconds": 300})).start().await;
    tokio::task::yield_now().await;
    assert_eq!((job.state(), job.clock().passed()), (State::Running, Duration::ZERO));
    job.pass(299 * SECOND).await;
    assert_eq!(job.state(), State::Running);
    job.pass(SECOND).await;
    assert_eq!(made(job.state()), r#"{"slept":300.0}"#);
}

#[tokio::test]
async fn what_is_due_meanwhile_happens_at_its_time_and_in_its_order() {
    let mut job = JobTrial::of(Takeaway).json(&serde_json::json!({"seconds": 5})).start().await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(job.progress().unwrap().message.unwrap());
        job.pass(SECOND).await;
    }
    assert_eq!(seen, ["chopping", "frying", "simmering", "seasoning", "packing"]);
    assert!(made(job.state()).contains("still hot"));
    let ten = JobTrial::of(Takeaway).json(&serde_json::json!({"seconds": 60})).start().await.run().await;
    assert!(made(ten).contains("ramen"));
}

#[tokio::test]
async fn an_attempt_that_runs_too_long_is_told_to_stop_and_is_tried_again_until_that_is_too_often() {
    async fn endless(_: serde_json::Value, context: Context) -> Result<(), Outcome> {
        context.log(format!("attempt {} with {} s left", context.attempt(), context.time_left().as_secs()));
        context.canceled().await;
        Err(Outcome::stopped())
    }
    let mut job = JobTrial::of(typed(endless)).timeout(60 * SECOND).max_attempts(2).start().await;
    job.pass(59 * SECOND).await;
    assert_eq!(job.state(), State::Running);
    job.pass(SECOND).await;
    let State::Waiting { error: Some(error), .. } = job.state() else { panic!("{:?}", job.state()) };
    assert_eq!(error.code, FailureCode::RunTimeout);
    job.pass(100 * SECOND).await;
    assert_eq!(failed(job.state()).code, FailureCode::AttemptsExhausted);
    assert_eq!(job.log(), ["attempt 1 with 60 s left", "attempt 2 with 60 s left"]);
}

#[tokio::test]
async fn a_handler_that_ignores_its_end_is_dropped_after_the_grace() {
    async fn deaf(_: serde_json::Value, _: Context) -> Result<(), Outcome> {
        std::future::pending().await
    }
    let mut job = JobTrial::of(typed(deaf)).start().await;
    job.cancel().await;
    job.pass(29 * SECOND).await;
    assert_eq!(job.state(), State::Running);
    job.pass(SECOND).await;
    assert_eq!(job.state(), State::Canceled);
}

#[tokio::test]
async fn a_snooze_costs_no_attempt_and_a_larger_fence_tells_the_runs_apart() {
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = typed({
        let runs = Arc::clone(&runs);
        move |name: String, context: Context| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move {
                context.log(format!("attempt {}, fence {}", context.attempt(), context.fence()));
                if run == 0 { Err(Outcome::Snooze(3_600 * SECOND)) } else { Ok(format!("hello {name}")) }
            }
        }
    });
    let mut job = JobTrial::of(handler).json(&"rain").start().await;
    assert_eq!(job.state(), State::Waiting { pause: 3_600 * SECOND, error: None });
    job.pass(600 * SECOND).await;
    assert_eq!(job.state(), State::Waiting { pause: 3_000 * SECOND, error: None });
    assert_eq!(made(job.run().await), r#""hello rain""#);
    assert_eq!(job.log(), ["attempt 1, fence 2", "attempt 1, fence 3"]);
}

#[tokio::test]
async fn a_failure_says_when_it_wants_to_be_tried_again_and_a_panic_is_one() {
    async fn moody(_: serde_json::Value, context: Context) -> Result<u8, Outcome> {
        match context.attempt() {
            1 => Err(HandlerError::new("closed").retry_after(86_400 * SECOND)),
            2 => panic!("a bug"),
            _ => Err(HandlerError::new("never mind").fail()),
        }
    }
    let mut job = JobTrial::of(typed(moody)).start().await;
    assert!(matches!(job.state(), State::Waiting { pause, .. } if pause == 86_400 * SECOND));
    job.pass(86_400 * SECOND).await;
    let State::Waiting { error: Some(error), .. } = job.state() else { panic!("{:?}", job.state()) };
    assert_eq!(error.message, "handler panicked: a bug");
    assert_eq!(failed(job.run().await).message, "never mind");
}

#[tokio::test]
async fn an_input_that_is_not_what_a_kind_takes_fails_it_for_good_and_says_where() {
    async fn double(number: u32, _: Context) -> Result<u32, Outcome> {
        Ok(number * 2)
    }
    assert_eq!(made(JobTrial::of(typed(double)).json(&21).start().await.state()), "42");
    let failure = failed(JobTrial::of(typed(double)).json(&"21").start().await.state());
    assert!(!failure.retryable);
    assert!(failure.message.contains("expected u32 at line 1 column 4"), "{}", failure.message);
}

#[tokio::test]
async fn what_waits_for_something_other_than_time_is_waited_for() {
    async fn asks(_: serde_json::Value, context: Context) -> Result<String, Outcome> {
        let read = tokio::fs::read_to_string("/proc/self/comm").await.map_err(|e| HandlerError::new(e.to_string()))?;
        context.sleep(30 * SECOND).await;
        Ok(read)
    }
    let mut job = JobTrial::of(typed(asks)).start().await;
    assert!(made(job.run().await).len() > 3);
    assert_eq!(job.clock().passed(), 30 * SECOND);
}

#[tokio::test]
async fn an_output_that_is_too_large_fails_as_it_would_for_a_worker() {
    async fn long(_: serde_json::Value, _: Context) -> Result<String, Outcome> {
        Ok("x".repeat(100))
    }
    let state = JobTrial::of(typed(long)).max_output(101).start().await.state();
    assert_eq!(failed(state).code, FailureCode::OutputTooLarge);
}
