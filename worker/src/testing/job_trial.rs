//! One job, from its first attempt to its end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as Poller, Poll, Wake, Waker};
use std::time::Duration;

use raincheck_shared::blobs::Blobs;
use raincheck_shared::config::{BlobPlace, BlobSettings, Kind, Run};
use raincheck_shared::domain::{Body, Ended, Failure, Fence, Payload, Progress, RetryPolicy};
use raincheck_shared::lifecycle::{Clock, IdSource, Shutdown};
use raincheck_shared::store::ClaimedJob;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::VirtualClock;
use super::state::State;
use crate::Handler;
use crate::context::Time;
use crate::drain::Drain;
use crate::executor::{Attempt, Limits, Ran, execute};
use crate::handler_log::HandlerLog;
use crate::registry::Entry;

/// Nothing in a trial is too large for memory.
const IN_MEMORY: u64 = u64::MAX;
const MAX_LOG: u64 = 1 << 20;
/// Polls without a wake in between after which a handler is held to be waiting: what it has spawned had its turns.
const QUIET: usize = 32;

/// What a job is to be like before it starts. Made by [`JobTrial::of`].
pub struct Setup {
    handler: Arc<dyn Handler>,
    input: Payload,
    timeout: Duration,
    retry: RetryPolicy,
    max_output: u64,
    cancel_grace: Duration,
    traceparent: Option<String>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("input", &self.input).finish_non_exhaustive()
    }
}

/// A job under trial. Dropped while an attempt runs, it drops the handler.
pub struct JobTrial {
    setup: Setup,
    clock: Arc<VirtualClock>,
    job: ClaimedJob,
    canceled: CancellationToken,
    progress: watch::Sender<Option<Progress>>,
    log: HandlerLog,
    stage: Stage,
}

enum Stage {
    Runs(Pin<Box<dyn Future<Output = Ran> + Send>>),
    Waits { until: Duration, error: Option<Failure> },
    Over(State),
}

impl fmt::Debug for JobTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobTrial").field("job", &self.job).field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Setup {
    /// Its input; an empty JSON object unless it is set.
    #[must_use]
    pub fn input(mut self, input: Payload) -> Self {
        self.input = input;
        self
    }

    /// Its input, as JSON.
    ///
    /// # Panics
    /// If it cannot be written as JSON.
    #[must_use]
    pub fn json(self, input: &impl Serialize) -> Self {
        match serde_json::to_vec(input) {
            Ok(bytes) => self.input(Payload::json(bytes)),
            Err(error) => panic!("the input cannot be written as JSON: {error}"),
        }
    }

    /// How long an attempt may run; ten minutes unless it is set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Attempts that may count; three unless it is set.
    #[must_use]
    pub fn max_attempts(mut self, attempts: i32) -> Self {
        self.retry.max_attempts = attempts.max(1);
        self
    }

    /// Bytes of output that can be kept; 100 MiB unless it is set.
    #[must_use]
    pub fn max_output(mut self, bytes: u64) -> Self {
        self.max_output = bytes;
        self
    }

    /// The trace context that came with it; none unless it is set.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Starts its first attempt, and lets that go as far as it goes in no time.
    pub async fn start(self) -> JobTrial {
        let ids = IdSource;
        let clock = Arc::new(VirtualClock::default());
        let job = ClaimedJob {
            fence: Fence { job: ids.job(), attempt: 0, token: ids.random() },
            lease: ids.lease(),
            tenant: raincheck_shared::domain::TenantName::default(),
            kind: named("trial"),
            queue: named("default"),
            version: 1,
            input: self.input.clone().into(),
            max_attempts: self.retry.max_attempts,
            run_timeout: self.timeout,
            deadline: None,
            crashes: 0,
            traceparent: self.traceparent.clone(),
        };
        let log = HandlerLog::new(MAX_LOG, Arc::clone(&clock) as Arc<dyn Clock>);
        let stage = Stage::Waits { until: Duration::ZERO, error: None };
        let (canceled, progress) = (CancellationToken::new(), watch::Sender::default());
        let mut trial = JobTrial { setup: self, clock, job, canceled, progress, log, stage };
        trial.begin(true);
        trial.settle().await;
        trial
    }
}

impl JobTrial {
    /// A job that this handler runs.
    pub fn of(handler: impl Handler) -> Setup {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Setup {
            handler: Arc::new(handler),
            input: Payload::json("{}"),
            timeout: minutes(10),
            retry: RetryPolicy { max_attempts: 3, base: Duration::from_secs(2), cap: minutes(5) },
            max_output: 100 << 20,
            cancel_grace: Duration::from_secs(30),
            traceparent: None,
        }
    }

    /// Lets so much time pass: what is due meanwhile happens at its time and in its order, attempts that come after a pause
    /// included.
    pub async fn pass(&mut self, time: Duration) {
        let goal = self.clock.passed().saturating_add(time);
        loop {
            self.settle().await;
            match self.next(true).filter(|next| *next <= goal) {
                Some(next) => self.arrive(next),
                None => break,
            }
        }
        self.clock.set(goal);
        self.settle().await;
    }

    /// Lets as much time pass as it takes until the job has ended. A handler that waits for something other than time is
    /// waited for.
    pub async fn run(&mut self) -> State {
        loop {
            self.settle().await;
            if let Stage::Over(state) = &self.stage {
                return state.clone();
            }
            match self.next(false) {
                Some(next) => self.arrive(next),
                // It waits for something that no clock knows of.
                None => self.advance().await,
            }
        }
    }

    /// Asks it to stop, as a client's cancel does.
    pub async fn cancel(&mut self) {
        self.canceled.cancel();
        if matches!(self.stage, Stage::Waits { .. }) {
            self.stage = Stage::Over(State::Canceled);
        }
        self.settle().await;
    }

    /// How it stands.
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Runs(_) => State::Running,
            Stage::Waits { until, error } => {
                State::Waiting { pause: until.saturating_sub(self.clock.passed()), error: error.clone() }
            }
            Stage::Over(state) => state.clone(),
        }
    }

    /// The attempt that runs, or ran last, from 1.
    pub fn attempt(&self) -> i32 {
        self.job.fence.attempt
    }

    /// What was last reported of the progress of this attempt.
    pub fn progress(&self) -> Option<Progress> {
        self.progress.borrow().clone()
    }

    /// Everything that was logged.
    pub fn log(&self) -> Vec<String> {
        self.log.unrecorded()
    }

    /// Its time.
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    fn next(&self, limits: bool) -> Option<Duration> {
        match &self.stage {
            Stage::Runs(_) => self.clock.next(limits),
            Stage::Waits { until, .. } => Some(*until),
            Stage::Over(_) => None,
        }
    }

    fn arrive(&mut self, at: Duration) {
        self.clock.set(at);
        if let Stage::Waits { until, error } = &self.stage
            && *until <= at
        {
            // A snooze costs no attempt.
            let counts = error.is_some();
            self.begin(counts);
        }
    }

    fn begin(&mut self, counts: bool) {
        self.job.fence.attempt += i32::from(counts);
        self.job.fence.token = IdSource.random();
        self.job.version += 1;
        self.progress.send_replace(None);
        let (job, canceled, log) = (self.job.clone(), self.canceled.clone(), self.log.clone());
        let (progress, clock) = (self.progress.clone(), Arc::clone(&self.clock));
        let entry = Entry { kind: Arc::new(self.setup.kind()), handler: Arc::clone(&self.setup.handler) };
        let limits = Limits { max_output: self.setup.max_output, cancel_grace: self.setup.cancel_grace };
        self.stage = Stage::Runs(Box::pin(async move {
            let blobs = match in_memory() {
                Ok(blobs) => blobs,
                Err(error) => panic!("a trial cannot be set up: {error}"),
            };
            let time = Time::Told(clock);
            let (unwanted, drain, entry, job, blobs) = (canceled.child_token(), Drain::default(), &entry, &job, &blobs);
            execute(Attempt { entry, job, canceled, unwanted, progress, log, drain, limits, blobs, time }).await
        }));
    }

    /// Goes on until nothing happens any more without time passing.
    async fn settle(&mut self) {
        let mut quiet = 0;
        let woken = Arc::new(Woken::default());
        std::future::poll_fn(|poller| {
            let Stage::Runs(attempt) = &mut self.stage else { return Poll::Ready(()) };
            match attempt.as_mut().poll(&mut Poller::from_waker(&Waker::from(Arc::clone(&woken)))) {
                Poll::Ready(ended) => {
                    self.ended(ended);
                    return Poll::Ready(());
                }
                Poll::Pending if woken.0.swap(false, Ordering::AcqRel) => quiet = 0,
                Poll::Pending => quiet += 1,
            }
            if quiet >= QUIET {
                return Poll::Ready(());
            }
            // Whatever else is on this runtime gets its turn.
            poller.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Waits until the attempt goes on by itself.
    async fn advance(&mut self) {
        let ended = match &mut self.stage {
            Stage::Runs(attempt) => {
                let mut polled = false;
                std::future::poll_fn(|poller| match attempt.as_mut().poll(poller) {
                    Poll::Ready(ended) => Poll::Ready(Some(ended)),
                    Poll::Pending if std::mem::replace(&mut polled, true) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                })
                .await
            }
            _ => None,
        };
        if let Some(ended) = ended {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ran: Ran) {
        let Ran::Ended(ended) = ran else { return self.stage = Stage::Over(State::HandedOver) };
        let after = |pause| self.clock.passed().saturating_add(pause);
        self.stage = match ended {
            Ended::Succeeded(output) => match output.content.body {
                Body::Inline(bytes) => {
                    Stage::Over(State::Succeeded(Payload { content_type: output.content.content_type, bytes }))
                }
                Body::Blob(_) => unreachable!("everything is in memory"),
            },
            Ended::Failed(failure) => Stage::Over(State::Failed(failure)),
            Ended::Released => Stage::Over(State::Canceled),
            Ended::Retry { error, delay } => Stage::Waits { until: after(delay), error: Some(error) },
            Ended::Snoozed(delay) => Stage::Waits { until: after(delay), error: None },
        };
    }
}

impl Setup {
    fn kind(&self) -> Kind {
        Kind {
            name: named("trial"),
            run: Run::Custom,
            queue: named("default"),
            timeout: self.timeout,
            retry: self.retry,
            limits: raincheck_shared::domain::KindLimits::default(),
            concurrency: 1,
            content_types: Vec::new(),
            output_type: "application/octet-stream".to_owned(),
            schema: None,
            retention: Duration::from_mins(1),
            description: None,
        }
    }
}

/// A blob store that nothing is too small for, so that it is never asked.
fn in_memory() -> Result<Blobs, raincheck_shared::blobs::BlobError> {
    let place = BlobPlace::Directory { path: std::env::temp_dir() };
    let settings = BlobSettings { place, in_database: IN_MEMORY, writers: 1, keep_orphans: Duration::from_hours(1) };
    Blobs::open(&settings, &Shutdown::new())
}

fn named<T>(name: &str) -> T
where
    T: std::str::FromStr,
    T::Err: fmt::Display,
{
    match name.parse() {
        Ok(name) => name,
        Err(error) => panic!("{name:?} is not a name: {error}"),
    }
}

/// Whether somebody was woken since the last look.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
