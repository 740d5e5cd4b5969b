//! Runs one attempt and says how it ended, whatever the handler does.
//!
//! start → run under its timeout → catch a panic → stop it when told to → check what it made → [`Ended`].
//!
//! A handler that blocks its thread instead of awaiting cannot be cut short by anybody; the lease is renewed from
//! another thread, so at least its job is not taken for lost.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use raincheck_shared::blobs::Blobs;
use raincheck_shared::config::{JobSettings, format_duration};
use raincheck_shared::domain::{
    AttemptBounds, Blob, Body, Content, Ended, Failure, FailureCode, Output, Payload, Progress,
};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::ClaimedJob;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::context::{Time, deadline};
use crate::drain::Drain;
use crate::handler_log::HandlerLog;
use crate::output::Spool;
use crate::registry::Entry;
use crate::{Context, HandlerError, LargeInput, Outcome, Written};

/// How long a handler may take to stop once its timeout has passed: enough for a program to be asked, then killed.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);
/// Digests of more bytes than this are worked out off the threads that everything else runs on.
const LARGE: usize = 1 << 20;
/// Characters kept of an error's line.
const MAX_MESSAGE: usize = 1_000;

/// By how much an attempt may outlive the grace after a cancel. The store counts the same grace and is to be first: then the job
/// is canceled without anybody saying that its handler has stopped, which one that had to be dropped has not.
const DECIDED_WITHIN: Duration = Duration::from_millis(500);

/// What bounds every attempt, whatever its kind.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of output that can be kept.
    pub max_output: u64,
    /// How long a handler may take to stop once it was told to, until it is dropped.
    pub cancel_grace: Duration,
}

impl From<&JobSettings> for Limits {
    fn from(jobs: &JobSettings) -> Self {
        Self { max_output: jobs.max_output, cancel_grace: jobs.cancel_grace + DECIDED_WITHIN }
    }
}

/// One attempt that is about to run.
pub struct Attempt<'a> {
    /// What runs it.
    pub entry: &'a Entry,
    /// The job, as it was claimed.
    pub job: &'a ClaimedJob,
    /// Tells the handler to stop: a cancel, a lost lease, the end of a drain.
    pub canceled: CancellationToken,
    /// Tells it, before it is told to stop, that nobody wants what it would make.
    pub(crate) unwanted: CancellationToken,
    /// Where its progress goes.
    pub progress: watch::Sender<Option<Progress>>,
    /// Where its log goes.
    pub(crate) log: HandlerLog,
    /// Takes it back when what ended it was meant for the worker.
    pub(crate) drain: Drain,
    /// What bounds it.
    pub limits: Limits,
    /// Where large inputs are, and large outputs go.
    pub blobs: &'a Blobs,
    /// Times it, and tells whether a next attempt would come too late.
    pub(crate) time: Time,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Ran {
    /// It ended so.
    Ended(Ended),
    /// It goes on elsewhere: whoever has its token ends it.
    HandedOver,
}

/// How the handler's run came to its end.
enum Ending {
    /// It returned, or panicked.
    Returned(Outcome),
    /// It ran longer than it may.
    TimedOut {
        /// Until another attempt, if there is to be one.
        delay: Duration,
        /// What it said when it was told to stop, if it said anything.
        said: Vec<u8>,
    },
    /// It was told to stop, and did not within the grace.
    Ignored,
}

/// Runs an attempt. Never panics, and returns at the latest when its timeout and a grace have passed.
///
/// Once `canceled` has fired, an attempt that neither completed nor failed for good is [`Ended::Released`]: a job that
/// a client canceled ends as `canceled`, and one whose worker drains runs elsewhere and is charged no attempt.
pub async fn execute(attempt: Attempt<'_>) -> Ran {
    let job = attempt.job;
    let span = tracing::info_span!("job.run", job = %job.fence.job, kind = %job.kind, attempt = job.fence.attempt);
    async {
        match attempt.run().await {
            // Whoever was told to stop too late to hear of it is not waited for.
            Ending::Returned(Outcome::HandedOver) if attempt.canceled.is_cancelled() => Ran::Ended(Ended::Released),
            Ending::Returned(Outcome::HandedOver) => Ran::HandedOver,
            ending => Ran::Ended(attempt.resolve(ending).await),
        }
    }
    .instrument(span)
    .await
}

impl Attempt<'_> {
    /// Runs the handler under its timeout and stops it when told to.
    async fn run(&self) -> Ending {
        if self.canceled.is_cancelled() {
            return Ending::Ignored;
        }
        // The timeout stops this attempt, not whatever else the caller's token stops.
        let stop = self.canceled.child_token();
        let context = self.context(stop.clone());
        let handler = &self.entry.handler;
        let Content { content_type, body } = self.job.input.clone();
        let blobs = self.blobs.clone();
        let mut running = DropQuietly(Some(Box::pin(async move {
            // The handler's first lines run inside too: not every implementation is an `async fn`.
            let run = AssertUnwindSafe(async move {
                match body {
                    Body::Inline(bytes) => handler.run(Payload { content_type, bytes }, context).await,
                    Body::Blob(blob) => {
                        let input = LargeInput::new(content_type, blob, blobs, context.clone());
                        handler.run_large(input, context).await
                    }
                }
            });
            match run.catch_unwind().await {
                Ok(outcome) => outcome,
                Err(panic) => panicked(&*panic),
            }
        })));

        tokio::select! {
            biased;
            outcome = running.outcome() => Ending::Returned(outcome),
            () = self.canceled.cancelled() => {
                tokio::select! {
                    biased;
                    outcome = running.outcome() => Ending::Returned(outcome),
                    () = self.time.pass(self.limits.cancel_grace) => Ending::Ignored,
                }
            }
            () = self.time.pass(self.job.run_timeout) => {
                // Drawn before the handler is told to stop: whether another attempt goes on with what this one began is for
                // it to know then.
                let delay = self.backoff();
                if matches!(self.timed_out(delay, Vec::new()), Ended::Failed(_)) {
                    self.unwanted.cancel();
                }
                stop.cancel();
                let said = tokio::select! {
                    biased;
                    outcome = running.outcome() => match outcome {
                        Outcome::Retry { error, .. } | Outcome::Fail(error) => error.detail,
                        _ => Vec::new(),
                    },
                    () = self.time.pass(TIMEOUT_GRACE) => Vec::new(),
                };
                Ending::TimedOut { delay, said }
            }
        }
    }

    fn context(&self, canceled: CancellationToken) -> Context {
        let job = self.job;
        Context {
            job_id: job.fence.job,
            tenant: job.tenant.clone(),
            kind: job.kind.clone(),
            attempt: job.fence.attempt,
            max_attempts: job.max_attempts,
            fence: job.version,
            timeout: job.run_timeout,
            deadline: deadline(self.time.now(), job.run_timeout),
            time: self.time.clone(),
            max_output: self.limits.max_output,
            traceparent: job.traceparent.as_deref().map(Arc::from),
            canceled,
            progress: self.progress.clone(),
            log: self.log.clone(),
            spool: Some(Spool::new(self.blobs.clone(), job.fence)),
            lease: job.fence.into(),
            unwanted: self.unwanted.clone(),
            drain: self.drain.clone(),
        }
    }

    /// Makes of an ending what the store is told.
    async fn resolve(&self, ending: Ending) -> Ended {
        let stopped = self.canceled.is_cancelled() || self.drain.has_given_back();
        match ending {
            Ending::Returned(Outcome::Complete(payload)) => self.keep(payload).await,
            Ending::Returned(Outcome::Written(Written { content_type, blob })) => written(content_type, blob),
            Ending::Returned(Outcome::Fail(error)) => Ended::Failed(self.failure(&error, false)),
            Ending::Returned(Outcome::Snooze(delay)) => self.snooze(delay),
            Ending::Ignored | Ending::Returned(Outcome::HandedOver) => Ended::Released,
            Ending::Returned(Outcome::Retry { .. }) if stopped => Ended::Released,
            Ending::Returned(Outcome::Retry { error, after }) => self.retry(&error, after),
            Ending::TimedOut { delay, said } => self.timed_out(delay, said),
        }
    }

    /// The end of an attempt that ran longer than it may.
    fn timed_out(&self, delay: Duration, said: Vec<u8>) -> Ended {
        let message = format!("ran longer than the {} it may", format_duration(self.job.run_timeout));
        let error = HandlerError::new(message).with_code(FailureCode::RunTimeout).with_detail(said);
        self.retry(&error, Some(delay))
    }

    async fn keep(&self, payload: Payload) -> Ended {
        let size = u64::try_from(payload.bytes.len()).unwrap_or(u64::MAX);
        if size > self.limits.max_output {
            let error = HandlerError::output_too_large(self.limits.max_output);
            return Ended::Failed(self.failure(&error, false));
        }
        if size > self.blobs.in_database() {
            return Box::pin(self.keep_apart(payload)).await;
        }
        let digest = digest(payload.bytes.clone()).await;
        let content_type = sendable(payload.content_type);
        Ended::Succeeded(Output { content: Content { content_type, body: Body::Inline(payload.bytes) }, digest })
    }

    /// Keeps what is too large for the database.
    async fn keep_apart(&self, payload: Payload) -> Ended {
        let context = self.context(self.canceled.clone());
        let spool = Spool::new(self.blobs.clone(), self.job.fence);
        match spool.keep(&payload.bytes, &context).await {
            Ok(blob) => written(payload.content_type, blob),
            Err(Outcome::Snooze(delay)) => self.snooze(delay),
            Err(Outcome::Retry { error, .. } | Outcome::Fail(error)) => self.retry(&error, None),
            Err(_) => Ended::Released,
        }
    }

    fn retry(&self, error: &HandlerError, after: Option<Duration>) -> Ended {
        let delay = after.unwrap_or_else(|| self.backoff());
        self.bounds().retry(self.failure(error, true), delay)
    }

    fn backoff(&self) -> Duration {
        self.entry.kind.retry.delay_after(self.job.fence.attempt, IdSource.fraction())
    }

    fn snooze(&self, delay: Duration) -> Ended {
        self.bounds().snooze(delay, |delay| {
            let wish = format!("asked to be called again after {}, past its deadline", format_duration(delay));
            self.failure(&HandlerError::new(wish), true)
        })
    }

    fn bounds(&self) -> AttemptBounds {
        AttemptBounds { max_attempts: self.job.max_attempts, deadline: self.job.deadline, now: self.time.now() }
    }

    fn failure(&self, error: &HandlerError, retryable: bool) -> Failure {
        let message: String = error.message.chars().take(MAX_MESSAGE).collect();
        Failure::new(error.code, message, retryable, self.job.fence.attempt).with_detail(&error.detail)
    }
}

/// A handler's run. What it leaves behind may panic as it is dropped, in whatever task that is; its outcome stands.
struct DropQuietly<'a>(Option<Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>>);

impl DropQuietly<'_> {
    /// Goes on with it. Never resolves again once it has.
    async fn outcome(&mut self) -> Outcome {
        match self.0.as_mut() {
            Some(run) => run.await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for DropQuietly<'_> {
    fn drop(&mut self) {
        let run = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(run))) {
            tracing::warn!(panic = text_of(&*panic), "handler panicked while it was dropped");
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    let text = text_of(panic);
    tracing::warn!(panic = text, "handler panicked");
    HandlerError::new(format!("handler panicked: {text}")).retry()
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// A content type is sent as a header one day: one that cannot be is replaced by the one that says nothing.
pub(crate) fn sendable(content_type: String) -> String {
    let fits = (1..=255).contains(&content_type.len()) && content_type.chars().all(|c| matches!(c, ' '..='~'));
    if fits { content_type } else { "application/octet-stream".to_owned() }
}

/// The end of an attempt whose output is written already, and its digest counted.
fn written(content_type: String, blob: Blob) -> Ended {
    let content = Content { content_type: sendable(content_type), body: Body::Blob(blob) };
    Ended::Succeeded(Output { content, digest: blob.digest })
}

async fn digest(bytes: Bytes) -> [u8; 32] {
    if bytes.len() <= LARGE {
        return Sha256::digest(&bytes).into();
    }
    let shared = bytes.clone();
    match tokio::task::spawn_blocking(move || Sha256::digest(&shared).into()).await {
        Ok(digest) => digest,
        // The runtime is ending and takes no more work of that sort.
        Err(_) => Sha256::digest(&bytes).into(),
    }
}

#[cfg(test)]
mod tests;
