//! What a handler may know and say while it runs.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::domain::{JobId, KindName, LeaseToken, Progress, TenantName, Timestamp};
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Output;
use crate::drain::Drain;
use crate::handler_log::HandlerLog;
use crate::output::Spool;
use crate::testing::{Sleeper, VirtualClock};

/// Bytes that a context without a worker logs.
const DETACHED_LOG: u64 = 1 << 20;

/// What a handler may know and say while it runs. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) job_id: JobId,
    pub(crate) tenant: TenantName,
    pub(crate) kind: KindName,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) fence: i32,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Timestamp,
    pub(crate) time: Time,
    pub(crate) max_output: u64,
    pub(crate) traceparent: Option<Arc<str>>,
    pub(crate) canceled: CancellationToken,
    pub(crate) progress: watch::Sender<Option<Progress>>,
    pub(crate) log: HandlerLog,
    pub(crate) spool: Option<Spool>,
    pub(crate) lease: LeaseToken,
    pub(crate) unwanted: CancellationToken,
    pub(crate) drain: Drain,
}

impl Context {
    /// A context of its own, for trying a handler without a worker. The receiver shows what progress it reports, the
    /// token cancels it. Its output stays in memory.
    pub fn detached(
        job_id: JobId,
        kind: KindName,
        timeout: Duration,
        max_output: u64,
    ) -> (Self, watch::Receiver<Option<Progress>>, CancellationToken) {
        let (progress, reported) = watch::channel(None);
        let canceled = CancellationToken::new();
        let clock = SystemClock::shared();
        let context = Self {
            job_id,
            tenant: TenantName::default(),
            kind,
            attempt: 1,
            max_attempts: 1,
            fence: 1,
            timeout,
            deadline: deadline(clock.now(), timeout),
            time: Time::Machine(Arc::clone(&clock)),
            max_output,
            traceparent: None,
            canceled: canceled.clone(),
            progress,
            log: HandlerLog::new(DETACHED_LOG, clock),
            spool: None,
            lease: LeaseToken { job: job_id, token: IdSource.random() },
            unwanted: CancellationToken::new(),
            drain: Drain::default(),
        };
        (context, reported, canceled)
    }

    /// The job; the same in every attempt.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Whose job it is; `default` when callers need no keys.
    pub fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// The job's kind.
    pub fn kind(&self) -> &KindName {
        &self.kind
    }

    /// Which attempt this is, from 1. Those that did not count (a drain, a crash, a snooze) are not counted here either.
    pub fn attempt(&self) -> i32 {
        self.attempt
    }

    /// Attempts that may count.
    pub fn max_attempts(&self) -> i32 {
        self.max_attempts
    }

    /// A number that is larger in each later run of the same job, also where [`Context::attempt`] is not. Whoever keeps the
    /// largest that was seen can refuse what a run still does that was given up, for instance by a worker that was cut off.
    pub fn fence(&self) -> i32 {
        self.fence
    }

    /// When this attempt is cut off.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The time of day. In a trial with a virtual clock, that one's.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// What is left until the deadline.
    pub fn time_left(&self) -> Duration {
        Duration::try_from(self.deadline - self.now()).unwrap_or_default()
    }

    /// Waits. In a trial with a virtual clock, until that one was told that so much time has passed.
    pub async fn sleep(&self, duration: Duration) {
        match &self.time {
            Time::Machine(_) => tokio::time::sleep(duration).await,
            Time::Told(clock) => clock.sleep(duration, Sleeper::Handler).await,
        }
    }

    /// How long this attempt may run.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Begins an output of a media type that is made piece by piece, of any size that can be kept.
    pub fn output(&self, content_type: impl Into<String>) -> Output {
        Output::new(content_type.into(), self.clone())
    }

    /// Bytes of output that can be kept. More fails the attempt with code `output-too-large`.
    pub fn max_output(&self) -> u64 {
        self.max_output
    }

    /// W3C trace context that came with the request, to be sent on.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Reports how far it is: 0 to 100, out of range is cut. Cheap: the latest report is recorded at most once a second.
    pub fn report(&self, percent: f64, message: impl Into<String>) {
        let percent = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
        let message: String = message.into();
        let message = message.replace('\0', "\u{fffd}").chars().take(500).collect::<String>();
        let message = (!message.is_empty()).then_some(message);
        self.progress.send_replace(Some(Progress { percent, message }));
    }

    /// Writes into the job's log, which clients can read while it grows: a line, or several. Cheap: lines are recorded once a
    /// second, and when the attempt ends. Bounded by `jobs.max_log`; what goes past it is dropped, and a line says so.
    pub fn log(&self, text: impl AsRef<str>) {
        self.log.add(text.as_ref());
    }

    /// Resolves when the attempt should stop: a cancel, a timeout, a lost lease, the end of a drain. What is returned
    /// after that is recorded only if it still can be.
    pub async fn canceled(&self) {
        self.canceled.cancelled().await;
    }

    /// Whether the attempt should stop because nobody wants what it would make: a client canceled the job, or its last attempt
    /// took too long. Not when another attempt will go on with it.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.unwanted.is_cancelled()
    }

    /// Gives this attempt back if the worker is stopping, or is about to: what ended it was meant for the worker, and the failure
    /// that is returned counts for nothing. False: it is the attempt's own.
    pub(crate) async fn gives_back(&self) -> bool {
        self.drain.gives_back().await
    }

    /// What ends this attempt from elsewhere, under the URLs of `completion = "callback"`. A secret.
    pub(crate) fn lease(&self) -> LeaseToken {
        self.lease
    }

    /// Whether the attempt should stop.
    pub fn is_canceled(&self) -> bool {
        self.canceled.is_cancelled()
    }

    /// What it has logged and was not recorded yet.
    #[cfg(any(test, feature = "laws"))]
    pub(crate) fn logged(&self) -> Vec<String> {
        self.log.unrecorded()
    }
}

/// The instant so long after another, or the last there is.
pub(crate) fn deadline(from: Timestamp, timeout: Duration) -> Timestamp {
    time::Duration::try_from(timeout).ok().and_then(|timeout| from.checked_add(timeout)).unwrap_or(LAST)
}

/// The end of the year 9999.
const LAST: Timestamp = time::PrimitiveDateTime::MAX.assume_utc();

/// Where a handler's time comes from.
#[derive(Clone)]
pub(crate) enum Time {
    /// The machine.
    Machine(Arc<dyn Clock>),
    /// A trial: it passes when it is told to.
    Told(Arc<VirtualClock>),
}

impl Time {
    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Machine(clock) => clock.now(),
            Self::Told(clock) => clock.now(),
        }
    }

    /// Waits for one of the limits of an attempt.
    pub(crate) async fn pass(&self, duration: Duration) {
        match self {
            Self::Machine(_) => tokio::time::sleep(duration).await,
            Self::Told(clock) => clock.sleep(duration, Sleeper::Limit).await,
        }
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Machine(_) => "Machine",
            Self::Told(_) => "Told",
        })
    }
}
