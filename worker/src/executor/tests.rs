use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use raincheck_shared::config::Run;
use raincheck_shared::domain::{Fence, Timestamp};
use raincheck_shared::lifecycle::{Clock, Shutdown, SystemClock};
use tokio::time::timeout;

mod blobs_away;
mod stopped_from_outside;
mod timeouts;

use super::*;
use crate::Handler;
use crate::handlers::trial::{Folder, blobs, kind};

/// A handler made of a closure.
struct Closure<F>(F);

#[async_trait]
impl<F, R> Handler for Closure<F>
where
    F: Fn(Payload, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send,
{
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        self.0(input, context).await
    }
}

/// The epoch, always.
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

/// An attempt that waits to be run.
struct Trial {
    entry: Entry,
    job: ClaimedJob,
    canceled: CancellationToken,
    worker: Shutdown,
    limits: Limits,
    blobs: Blobs,
    folder: Folder,
}

impl Trial {
    fn of(handler: impl Handler) -> Self {
        let (blobs, folder) = blobs();
        let kind = kind("tried", "default", Run::Custom);
        let fence = Fence { job: IdSource.job(), attempt: 1, token: IdSource.random() };
        let job = ClaimedJob {
            fence,
            lease: IdSource.lease(),
            tenant: "acme".parse().unwrap(),
            kind: kind.name.clone(),
            queue: kind.queue.clone(),
            version: 2,
            input: Payload::json("{}").into(),
            max_attempts: 3,
            run_timeout: Duration::from_secs(10),
            deadline: None,
            crashes: 0,
            traceparent: Some("00-a-b-01".to_owned()),
        };
        let limits = Limits { max_output: 10 << 20, cancel_grace: Duration::from_millis(200) };
        let entry = Entry { kind, handler: Arc::new(handler) };
        Self { entry, job, canceled: CancellationToken::new(), worker: Shutdown::new(), limits, blobs, folder }
    }

    fn returning(outcome: Outcome) -> Self {
        Self::of(Closure(move |_, _| std::future::ready(outcome.clone())))
    }

    async fn ended(&self) -> Ended {
        match self.ran().await {
            Ran::Ended(ended) => ended,
            Ran::HandedOver => panic!("it was handed over"),
        }
    }

    async fn ran(&self) -> Ran {
        execute(Attempt {
            entry: &self.entry,
            job: &self.job,
            canceled: self.canceled.clone(),
            unwanted: CancellationToken::new(),
            progress: watch::channel(None).0,
            log: crate::handler_log::HandlerLog::new(0, raincheck_shared::lifecycle::SystemClock::shared()),
            drain: Drain::of(&self.worker),
            limits: self.limits,
            blobs: &self.blobs,
            time: Time::Machine(Arc::new(Epoch)),
        })
        .await
    }
}

fn error() -> HandlerError {
    HandlerError::new("the oven is cold").with_detail("brr").with_code(FailureCode::UpstreamStatus)
}

fn failure(code: FailureCode, message: &str, retryable: bool, attempt: i32) -> Failure {
    Failure::new(code, message, retryable, attempt).with_detail(b"brr")
}

fn text(bytes: impl Into<Bytes>) -> Payload {
    Payload { content_type: "text/plain".to_owned(), bytes: bytes.into() }
}

#[track_caller]
fn kept(ended: Ended) -> Output {
    let Ended::Succeeded(output) = ended else { panic!("not a success: {ended:?}") };
    output
}

#[track_caller]
fn failed(ended: Ended) -> Failure {
    let Ended::Failed(failure) = ended else { panic!("not failed: {ended:?}") };
    failure
}

#[track_caller]
fn to_retry(ended: Ended) -> (Failure, Duration) {
    let Ended::Retry { error, delay } = ended else { panic!("not to be retried: {ended:?}") };
    (error, delay)
}

#[tokio::test]
async fn a_result_is_kept_with_its_digest() {
    let output = kept(Trial::returning(Outcome::Complete(text("abc"))).ended().await);
    assert_eq!(output.content, text("abc").into());
    assert_eq!(output.digest[..4], [0xba, 0x78, 0x16, 0xbf]);

    let large = vec![b'a'; 1_000_000 + LARGE];
    let output = kept(Trial::returning(Outcome::Complete(text(large.clone()))).ended().await);
    assert_eq!(output.digest, <[u8; 32]>::from(Sha256::digest(&large)));
    let Body::Blob(blob) = &output.content.body else { panic!("not a blob: {} bytes", output.content.body.size()) };
    assert_eq!((blob.size, blob.digest), (large.len() as u64, output.digest));
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_for_good() {
    let mut trial = Trial::returning(Outcome::Complete(text("12345")));
    trial.limits.max_output = 5;
    kept(trial.ended().await);
    trial.limits.max_output = 4;
    let failure = failed(trial.ended().await);
    assert_eq!((failure.code, failure.retryable), (FailureCode::OutputTooLarge, false));
}

#[tokio::test]
async fn a_content_type_that_no_header_can_carry_is_replaced() {
    for bad in ["", "text/plain\r\nx: y", "text/ä", "a\0b", &"x".repeat(256)] {
        let payload = Payload { content_type: bad.to_owned(), bytes: Bytes::new() };
        let output = kept(Trial::returning(Outcome::Complete(payload)).ended().await);
        assert_eq!(output.content.content_type, "application/octet-stream", "{bad:?}");
    }
}

#[tokio::test]
async fn a_retry_waits_as_the_handler_says_or_else_as_the_kind_backs_off() {
    let after = |after| Trial::returning(Outcome::Retry { error: error(), after });
    let (why, delay) = to_retry(after(Some(Duration::from_secs(77))).ended().await);
    assert_eq!(delay, Duration::from_secs(77));
    assert_eq!(why, failure(FailureCode::UpstreamStatus, "the oven is cold", true, 1));
    assert!(to_retry(after(None).ended().await).1 <= Duration::from_secs(1));
    assert_eq!(to_retry(after(Some(Duration::MAX)).ended().await).1, AttemptBounds::MAX_DELAY);
}

#[tokio::test]
async fn the_last_attempt_that_may_count_fails_the_job() {
    let mut trial = Trial::returning(error().retry());
    trial.job.fence.attempt = 3;
    let expected = failure(FailureCode::AttemptsExhausted, "the oven is cold", true, 3);
    assert_eq!(trial.ended().await, Ended::Failed(expected));

    trial.job.fence.attempt = 1;
    trial.job.max_attempts = 1;
    let expected = failure(FailureCode::UpstreamStatus, "the oven is cold", true, 1);
    assert_eq!(trial.ended().await, Ended::Failed(expected));
}

#[tokio::test]
async fn no_attempt_is_planned_past_the_deadline() {
    let mut trial = Trial::returning(Outcome::Retry { error: error(), after: Some(Duration::from_secs(10)) });
    trial.job.deadline = Some(Timestamp::UNIX_EPOCH + Duration::from_secs(10));
    to_retry(trial.ended().await);
    trial.job.deadline = Some(Timestamp::UNIX_EPOCH + Duration::from_secs(9));
    let failure = failed(trial.ended().await);
    assert_eq!((failure.code, failure.retryable), (FailureCode::UpstreamStatus, true));
    assert!(failure.message.contains("deadline"), "{}", failure.message);

    let mut trial = Trial::returning(Outcome::Snooze(Duration::from_secs(10)));
    trial.job.deadline = Some(Timestamp::UNIX_EPOCH + Duration::from_secs(9));
    assert!(failed(trial.ended().await).message.contains("deadline"));
}

#[tokio::test]
async fn a_failure_for_good_keeps_what_the_handler_said() {
    let expected = failure(FailureCode::UpstreamStatus, "the oven is cold", false, 1);
    assert_eq!(Trial::returning(error().fail()).ended().await, Ended::Failed(expected));
    let wordy = HandlerError::new("x".repeat(5_000)).fail();
    assert_eq!(failed(Trial::returning(wordy).ended().await).message.len(), MAX_MESSAGE);
}

#[tokio::test]
async fn a_snooze_is_neither_nothing_nor_forever() {
    for (asked, given) in [
        (Duration::from_secs(5), Duration::from_secs(5)),
        (Duration::ZERO, AttemptBounds::MIN_SNOOZE),
        (Duration::MAX, AttemptBounds::MAX_DELAY),
    ] {
        assert_eq!(Trial::returning(Outcome::Snooze(asked)).ended().await, Ended::Snoozed(given));
    }
}

/// Panics before there is a future, unlike an `async fn`.
struct Eager;

impl Handler for Eager {
    fn run<'a, 'b>(&'a self, _: Payload, _: Context) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        panic!("at once")
    }
}

#[tokio::test]
async fn a_panic_is_an_error_with_its_text() {
    let told = |handler: Trial| async move { to_retry(handler.ended().await).0.message };
    let plain = Trial::of(Closure(|_, _| async { panic!("no pans") }));
    assert_eq!(told(plain).await, "handler panicked: no pans");
    let formatted = Trial::of(Closure(|input: Payload, _| async move { panic!("{} bytes", input.bytes.len()) }));
    assert_eq!(told(formatted).await, "handler panicked: 2 bytes");
    let odd = Trial::of(Closure(|_, _| async { std::panic::panic_any(7) }));
    assert_eq!(told(odd).await, "handler panicked: without a message");
    assert_eq!(told(Trial::of(Eager)).await, "handler panicked: at once");
}

/// Notes that it was dropped, and panics then if it is told to.
struct Dropped(Arc<AtomicBool>, bool);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        assert!(!self.1, "panic while dropped");
    }
}

/// A handler that hears nothing, and whether it was dropped.
fn deaf(panics: bool) -> (Trial, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&dropped);
    let trial = Trial::of(Closure(move |_, _| {
        let held = Dropped(Arc::clone(&note), panics);
        async move {
            let _held = held;
            std::future::pending().await
        }
    }));
    (trial, dropped)
}

#[tokio::test]
async fn a_canceled_handler_may_still_complete_or_fail() {
    let until_canceled = |outcome: Outcome| {
        Trial::of(Closure(move |_, context: Context| {
            let outcome = outcome.clone();
            async move {
                context.report(50.0, "waiting");
                context.canceled().await;
                outcome
            }
        }))
    };
    for (outcome, expected) in [
        (error().fail(), Ended::Failed(failure(FailureCode::UpstreamStatus, "the oven is cold", false, 1))),
        (Outcome::Snooze(Duration::from_secs(1)), Ended::Snoozed(Duration::from_secs(1))),
        (Outcome::stopped(), Ended::Released),
        (Outcome::HandedOver, Ended::Released),
    ] {
        let trial = until_canceled(outcome);
        let (ended, ()) = tokio::join!(trial.ended(), async { trial.canceled.cancel() });
        assert_eq!(ended, expected);
    }
    let trial = until_canceled(Outcome::Complete(text("done anyway")));
    let (ended, ()) = tokio::join!(trial.ended(), async { trial.canceled.cancel() });
    assert_eq!(kept(ended).content, text("done anyway").into());
}

#[tokio::test]
async fn a_handler_that_ignores_a_cancel_is_dropped_after_the_grace() {
    let (trial, dropped) = deaf(false);
    let (ended, ()) = tokio::join!(trial.ended(), async { trial.canceled.cancel() });
    assert_eq!(ended, Ended::Released);
    assert!(dropped.load(Ordering::Relaxed));
}

#[tokio::test]
async fn an_attempt_that_is_given_up_takes_no_panic_along() {
    let (trial, dropped) = deaf(true);
    assert!(timeout(Duration::from_millis(20), trial.ended()).await.is_err());
    assert!(dropped.load(Ordering::Relaxed));
}

#[tokio::test]
async fn an_attempt_that_was_canceled_before_it_began_does_not_run() {
    let trial = Trial::of(Closure(|_, _| async { panic!("it ran") }));
    trial.canceled.cancel();
    assert_eq!(trial.ended().await, Ended::Released);
}

#[tokio::test]
async fn a_handler_sees_its_job_and_its_progress_is_seen() {
    let trial = Trial::of(Closure(|input: Payload, context: Context| async move {
        context.report(42.0, "rendering");
        let seen = (context.attempt(), context.max_attempts(), context.timeout().as_secs(), context.max_output());
        assert_eq!(seen, (1, 3, 10, 10 << 20));
        assert_eq!((context.kind().as_str(), context.traceparent()), ("tried", Some("00-a-b-01")));
        assert_eq!(input, Payload::json("{}"));
        Outcome::Complete(text(context.job_id().to_string()))
    }));
    let (progress, reported) = watch::channel(None);
    let log = crate::handler_log::HandlerLog::new(0, raincheck_shared::lifecycle::SystemClock::shared());
    let id = trial.job.fence.job.to_string();
    // Spawned, since that is how workers run it: it can move between threads.
    let running = Shutdown::new().spawn(async move {
        let Trial { entry, job, canceled, worker, limits, blobs, folder: _folder } = trial;
        let (time, unwanted, drain) = (Time::Machine(Arc::new(Epoch)), canceled.child_token(), Drain::of(&worker));
        let (entry, job, blobs) = (&entry, &job, &blobs);
        match execute(Attempt { entry, job, canceled, unwanted, progress, log, drain, limits, blobs, time }).await {
            Ran::Ended(ended) => ended,
            Ran::HandedOver => panic!("it was handed over"),
        }
    });
    assert_eq!(kept(running.await.unwrap().unwrap()).content, text(id).into());
    assert_eq!(reported.borrow().as_ref().map(|p| p.percent), Some(42.0));
}

#[tokio::test]
async fn what_is_handed_over_has_not_ended() {
    assert_eq!(Trial::returning(Outcome::HandedOver).ran().await, Ran::HandedOver);
}
