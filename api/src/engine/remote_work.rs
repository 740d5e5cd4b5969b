//! Work for those who lease it over HTTP: what waits, signs of life, and how attempts ended.

use std::time::Duration;

use bytes::Bytes;
use raincheck_shared::blobs::BlobWriter;
use raincheck_shared::broker::Signal;
use raincheck_shared::domain::{
    AttemptBounds, BlobName, BlobPart, Body, Content, Ended, Failure, FailureCode, KindName, Output, Progress,
    QueueName, RetryPolicy, Status, TenantName, WorkerId,
};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{
    Change, Finish, Finished, FoundAttempt, LeaseOrder, LeasedJob, LogBatch, LogEntry, ProgressReport, RenewedLease,
    StoreError, lease_of,
};

use tokio_util::sync::CancellationToken;

use super::attempt_ends::AttemptEnds;
use super::desk::Desk;
use super::fresh_leases::{FreshLeases, Returns};
use super::lease_board::{LeaseBoard, Wanted};
use super::{LeaseToken, Refusal};

/// Digests of more bytes than this are worked out off the threads that everything else runs on.
const LARGE: usize = 1 << 20;
/// How often lines are written once more that another request's lines came between.
const LOG_TRIES: usize = 5;
/// What a kind that is gone from the configuration is retried by.
pub(crate) const UNKNOWN_KIND: RetryPolicy =
    RetryPolicy { max_attempts: 3, base: Duration::from_secs(2), cap: Duration::from_mins(5) };

/// The parts that only remote workers need.
#[derive(Debug, Clone)]
pub(super) struct RemoteWork {
    pub(super) ends: AttemptEnds,
    pub(super) board: LeaseBoard,
    pub(super) returns: Returns,
}

/// What a remote worker asks for.
#[derive(Debug, Clone)]
pub(crate) struct LeaseWish {
    /// Its name for people.
    pub(crate) name: String,
    /// Kinds, all of them remote ones.
    pub(crate) kinds: Vec<KindName>,
    /// Queues.
    pub(crate) queues: Vec<QueueName>,
    /// Jobs at most.
    pub(crate) max: usize,
    /// How long a lease lasts from each sign of life.
    pub(crate) ttl: Duration,
}

/// Who shows a lease's token.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holder<'a> {
    /// A remote worker, with a key of this tenant.
    Worker(&'a TenantName),
    /// An upstream that was sent it, with nothing else.
    Upstream,
}

/// How a remote worker says that its attempt ended.
#[derive(Debug)]
pub(crate) enum LeaseEnd {
    /// It made this.
    Complete(Content),
    /// It failed.
    Fail {
        /// The reason as a code.
        code: FailureCode,
        /// One line for a person.
        message: String,
        /// What else there is to say.
        detail: String,
        /// Whether another attempt could mend it.
        retryable: bool,
        /// How long until then; as the kind says without it.
        retry_after: Option<Duration>,
    },
    /// It gives the job back; no attempt is counted. With a delay: to be leased no sooner than that.
    Release(Option<Duration>),
}

impl LeaseEnd {
    /// Whether what is recorded can be this end, rather than another that was recorded before.
    fn can_be(&self, status: Status) -> bool {
        // Once a cancel was asked for, the end of the attempt is the cancel.
        status == Status::Canceled
            || match self {
                Self::Complete(_) => status == Status::Succeeded,
                Self::Release(None) => status == Status::Queued,
                Self::Release(Some(_)) => status == Status::Retrying,
                Self::Fail { .. } => matches!(status, Status::Failed | Status::Retrying),
            }
    }
}

impl Desk {
    /// The queues that there are.
    pub(crate) fn known_queues(&self) -> Vec<QueueName> {
        let mut known = self.settings.queues();
        known.extend(self.settings.worker.queues.iter().cloned());
        known.sort_unstable();
        known.dedup();
        known
    }

    /// Leases jobs of a tenant, at least one unless none comes within `patience`, or this server drains. Once whoever asks is
    /// `gone`, it gets nothing: what was found goes back.
    pub(crate) async fn lease(
        &self,
        tenant: &TenantName,
        wish: &LeaseWish,
        patience: Duration,
        gone: &CancellationToken,
    ) -> Result<Vec<LeasedJob>, Refusal> {
        if self.shutdown.has_begun() {
            return Err(Refusal::ShuttingDown);
        }
        let (kinds, queues) = (wish.kinds.clone(), wish.queues.clone());
        // First the interest, then the look: what comes in between is heard of.
        let poller = self.remote.board.poller(Wanted { tenant: tenant.clone(), kinds, queues });
        let mut over = std::pin::pin!(tokio::time::sleep(patience));
        while !gone.is_cancelled() {
            let fresh = self.lease_now(tenant, wish).await?;
            if gone.is_cancelled() {
                break;
            }
            let leased = fresh.arrived();
            if !leased.is_empty() {
                poller.wake_next();
                return Ok(leased);
            }
            tokio::select! {
                () = poller.woken() => {}
                () = gone.cancelled() => {}
                () = &mut over => return Ok(Vec::new()),
                () = self.shutdown.begun() => return Ok(Vec::new()),
            }
        }
        // It may have been woken for something that another one can take.
        poller.wake_next();
        Ok(Vec::new())
    }

    async fn lease_now(&self, tenant: &TenantName, wish: &LeaseWish) -> Result<FreshLeases, Refusal> {
        let incarnations: Vec<WorkerId> = (0..wish.max).map(|_| IdSource.worker()).collect();
        let fresh = FreshLeases::expected(incarnations.clone(), self.remote.returns.clone());
        let order = LeaseOrder {
            tenant: tenant.clone(),
            name: wish.name.clone(),
            queues: wish.queues.clone(),
            kinds: wish.kinds.clone(),
            incarnations,
            ttl: wish.ttl,
            inline_limit: self.settings.jobs.inline_result,
        };
        self.calls.ask(move |store| async move { Ok(fresh.are(store.remote_leases.lease_waiting(order).await?)) }).await
    }

    /// Notes a sign of life; answers until when the lease lasts now, and whether the job is to stop.
    pub(crate) async fn renew_lease(&self, tenant: &TenantName, lease: LeaseToken) -> Result<RenewedLease, Refusal> {
        let (tenant, LeaseToken { job, token }) = (tenant.clone(), lease);
        let renewed = self
            .calls
            .ask(move |store| async move { store.remote_leases.renew_lease(&tenant, job, token).await })
            .await?;
        renewed.ok_or(Refusal::LeaseLost)
    }

    /// Notes how far the job is, which is a sign of life as well.
    pub(crate) async fn report_progress(
        &self,
        tenant: &TenantName,
        lease: LeaseToken,
        progress: Progress,
    ) -> Result<RenewedLease, Refusal> {
        let renewed = self.renew_lease(tenant, lease).await?;
        let report = [ProgressReport { fence: renewed.fence, progress }];
        let changes = self.calls.ask(move |store| async move { store.attempts.report_progress(&report).await }).await?;
        if !changes.is_empty() {
            self.wakeups.announce(Signal::Changed(changes));
        }
        Ok(renewed)
    }

    /// Adds lines to the job's log, which is a sign of life as well.
    pub(crate) async fn append_lines(
        &self,
        tenant: &TenantName,
        lease: LeaseToken,
        lines: Vec<String>,
    ) -> Result<RenewedLease, Refusal> {
        let renewed = self.renew_lease(tenant, lease).await?;
        if lines.is_empty() {
            return Ok(renewed);
        }
        let at = self.clock.now();
        let at = at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000).unwrap_or(at);
        let entries = lines.into_iter().map(|line| LogEntry { at, line }).collect();
        let (batch, limit) = ([LogBatch { fence: renewed.fence, entries }], self.settings.jobs.max_log);
        let append = move |store: raincheck_shared::store::Store| async move {
            for _ in 1..LOG_TRIES {
                match store.logs.append_logs(&batch, limit).await {
                    // Another request's lines took the same place: these come behind them.
                    Err(StoreError::Rejected(_)) => {}
                    settled => return settled,
                }
            }
            store.logs.append_logs(&batch, limit).await
        };
        self.calls.ask(append).await?;
        Ok(renewed)
    }

    /// The input of a leased job, whole.
    pub(crate) async fn leased_input(&self, tenant: &TenantName, lease: LeaseToken) -> Result<Content, Refusal> {
        let found = self.attempt(Holder::Worker(tenant), lease).await?;
        if found.status != Status::InProgress {
            return Err(Refusal::LeaseLost);
        }
        let job = lease.job;
        let input = self.calls.ask(move |store| async move { store.jobs.find_input(job).await }).await?;
        input.ok_or(Refusal::InputGone(job))
    }

    /// The attempt that a lease is for, if the holder may end it.
    pub(crate) async fn attempt(&self, holder: Holder<'_>, lease: LeaseToken) -> Result<FoundAttempt, Refusal> {
        let LeaseToken { job, token } = lease;
        let found = self.calls.ask(move |store| async move { store.attempts.find_attempt(job, token).await }).await?;
        let is_theirs = |found: &FoundAttempt| match holder {
            Holder::Worker(tenant) => found.tenant == *tenant,
            // A remote worker has to show a key as well.
            Holder::Upstream => !self.settings.kinds.get(&found.kind).is_some_and(|kind| kind.is_remote()),
        };
        found.filter(is_theirs).ok_or(Refusal::LeaseLost)
    }

    /// Begins to take a large result. It has a name of its own, since two requests may end the same lease at once. The name
    /// holds the attempt's token too: once the lease is lost, or another result was recorded, the blob is nobody's, and removed.
    pub(crate) async fn begin_result(&self, lease: LeaseToken, tenant: &TenantName) -> Result<BlobWriter, Refusal> {
        Ok(self.blobs.receive(result_name(lease), tenant).await?)
    }

    /// The largest result that is kept at all, and in the database, in bytes.
    pub(crate) fn output_limits(&self) -> (u64, u64) {
        let largest = self.settings.jobs.max_output;
        (largest, largest.min(self.blobs.in_database()))
    }

    /// Ends the attempt of a lease. The same end sent twice is answered alike.
    pub(crate) async fn end_lease(
        &self,
        holder: Holder<'_>,
        lease: LeaseToken,
        end: LeaseEnd,
    ) -> Result<Change, Refusal> {
        let mut found = self.attempt(holder, lease).await?;
        let ended = self.ended(&found, &end).await;
        if let (Ended::Succeeded(output), Some(kept)) = (&ended, found.result_digest)
            && output.digest != kept
        {
            return Err(Refusal::LeaseEnded(found.status));
        }
        let digest = ended.output().map(|output| output.digest);
        let mut answer = self.remote.ends.end(finish(&found, ended.clone())).await?;
        if answer == Finished::Fenced {
            // Whoever ran it may have handed it over in this very moment, which is done once.
            let now = self.attempt(holder, lease).await?;
            if now.worker != found.worker {
                found = now;
                answer = self.remote.ends.end(finish(&found, ended)).await?;
            }
        }
        let change = match answer {
            Finished::Recorded(change) => change,
            // Perhaps the same end, whose answer was lost. Perhaps another, that was a moment quicker.
            Finished::Before(change) => {
                let other = digest.is_some()
                    && self.attempt(holder, lease).await?.result_digest.is_some_and(|kept| Some(kept) != digest);
                if other {
                    return Err(Refusal::LeaseEnded(change.status));
                }
                change
            }
            Finished::Fenced => return Err(Refusal::LeaseLost),
        };
        if !end.can_be(change.status) {
            return Err(Refusal::LeaseEnded(change.status));
        }
        if change.status == Status::Queued {
            self.wakeups.announce(Signal::Leasable(vec![found.kind]));
        }
        Ok(change)
    }

    /// What the store is told.
    async fn ended(&self, found: &FoundAttempt, end: &LeaseEnd) -> Ended {
        let attempt = found.fence.attempt;
        let bounds =
            AttemptBounds { max_attempts: found.max_attempts, deadline: found.deadline, now: self.clock.now() };
        match end {
            LeaseEnd::Complete(content) => Ended::Succeeded(match &content.body {
                Body::Inline(bytes) => digested(content.content_type.clone(), bytes.clone()).await,
                Body::Blob(blob) => Output { content: content.clone(), digest: blob.digest },
            }),
            LeaseEnd::Fail { code, message, detail, retryable, retry_after } => {
                let error = Failure::new(*code, message.as_str(), *retryable, attempt);
                let error = error.with_detail(detail.as_bytes());
                if !retryable {
                    return Ended::Failed(error);
                }
                let policy = self.settings.kinds.get(&found.kind).map_or(UNKNOWN_KIND, |kind| kind.retry);
                bounds.retry(error, retry_after.unwrap_or_else(|| policy.delay_after(attempt, IdSource.fraction())))
            }
            LeaseEnd::Release(None) => Ended::Released,
            LeaseEnd::Release(Some(delay)) => bounds.snooze(*delay, |_| {
                let message = "asked to be called again past its deadline";
                Failure::new(FailureCode::HandlerError, message, true, attempt)
            }),
        }
    }
}

/// The end of an attempt, by whoever is known to run it.
fn finish(found: &FoundAttempt, ended: Ended) -> Finish {
    let worker = found.worker;
    Finish { fence: found.fence, worker, ended, lease_done: Some(lease_of(worker)) }
}

/// A name that no other result has.
pub(crate) fn result_name(lease: LeaseToken) -> BlobName {
    BlobName { job: lease.job, part: BlobPart::Output, token: lease.token, upload: Some(IdSource.random()) }
}

async fn digested(content_type: String, bytes: Bytes) -> Output {
    if bytes.len() <= LARGE {
        return Output::of(content_type, bytes);
    }
    let shared = (content_type.clone(), bytes.clone());
    match tokio::task::spawn_blocking(move || Output::of(shared.0, shared.1)).await {
        Ok(output) => output,
        // The runtime is ending and takes no more work of that sort.
        Err(_) => Output::of(content_type, bytes),
    }
}
