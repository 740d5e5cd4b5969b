//! The parts put together: one method for each thing that a client can ask.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::{Broker, Wakeups};
use raincheck_shared::config::Settings;
use raincheck_shared::domain::{Body, Fingerprint, IdempotencyKey, Job, JobId, NewJob, Status, TenantName, Version};
use raincheck_shared::lifecycle::{Clock, Nudge, Shutdown};
use raincheck_shared::store::{Accepted, Cursor, JobFilter, JobPage, LoggedLine, StoredResult};

use super::acceptance::{Examined, are_late, examine, fresh_job};
use super::admission::Admission;
use super::after_commit::AfterCommit;
use super::attempt_ends::AttemptEnds;
use super::backends::{Backends, Links};
use super::blob_outages::BlobOutages;
use super::door::Charge;
use super::follower::{Followed, Follower, has_passed};
use super::fresh_leases::Returns;
use super::health::{Health, Streaks};
use super::intake::Intake;
use super::keyring::Keyring;
use super::lease_board::LeaseBoard;
use super::outlook::Outlook;
use super::queues::QueueBoard;
use super::quotas::SubmitQuotas;
use super::reads::Reads;
use super::remote_work::RemoteWork;
use super::store_calls::StoreCalls;
use super::tickets::Tickets;
use super::waits::Waits;
use super::{Fault, FaultKind, Field, Level, Readiness, Refusal, Rejection, Submission};
use crate::streak::Streak;
use crate::webhooks::{PublicKey, Webhooks};

/// What became of a submission.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// The job as it is now.
    pub(crate) job: Arc<Job>,
    /// Whether an earlier request with the same key had made it.
    pub(crate) replayed: bool,
    /// Where its tenant stands with its quota of submits, if it has one.
    pub(crate) level: Option<Level>,
}

/// Why a submission came to nothing.
#[derive(Debug)]
pub(crate) enum SubmitError {
    /// It is at fault itself.
    Rejected(Rejection),
    /// It may be good, but not here and now.
    Refused(Refusal),
}

impl From<Refusal> for SubmitError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Answers endpoints. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wakeups: Arc<dyn Wakeups>,
    pub(super) intake: Intake,
    pub(super) blobs: Blobs,
    pub(super) blob_outages: BlobOutages,
    pub(super) reads: Reads,
    pub(super) calls: StoreCalls,
    pub(super) waits: Waits,
    outlook: Outlook,
    pub(super) admission: Admission,
    pub(super) submit_quotas: SubmitQuotas,
    pub(super) keyring: Keyring,
    pub(super) tickets: Tickets,
    pub(super) health: Health,
    pub(super) board: QueueBoard,
    pub(super) remote: RemoteWork,
    pub(super) webhooks: Webhooks,
    pub(super) ticks: Nudge,
    pub(super) shutdown: Shutdown,
    /// The shortest retention of any kind.
    pub(super) soonest_forgotten: Duration,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// Starts all parts on the runtime of the caller. They serve until the last request in flight was answered.
    pub(crate) fn start(
        settings: Arc<Settings>,
        backends: Backends,
        clock: Arc<dyn Clock>,
        links: Links,
        webhooks: Webhooks,
        shutdown: &Shutdown,
    ) -> Self {
        let admission = Admission::new(links.depths, Arc::clone(&clock));
        let Backends { store, blobs, broker: Broker { publisher, wakeups, .. } } = backends;
        let keyring = Keyring::start(&store.keys, settings.auth.required, Arc::clone(&clock), shutdown);
        let (jobs, schema, survey) = (Arc::clone(&store.jobs), Arc::clone(&store.schema), Arc::clone(&store.survey));
        let remote = RemoteWork {
            ends: AttemptEnds::start(&settings.store, store.clone(), Arc::clone(&wakeups), shutdown),
            board: LeaseBoard::start(Arc::clone(&store.remote_leases), &*wakeups, shutdown),
            returns: Returns::start(store.clone(), Arc::clone(&wakeups), shutdown),
        };
        let calls = StoreCalls::start(store, 8, shutdown);
        let streaks = Streaks {
            keeping: Streak::none("the store takes no jobs: submits are refused", "the store takes jobs again"),
            publishing: links.publishing,
        };
        Self {
            intake: Intake::start(
                &settings.store,
                Arc::clone(&jobs),
                AfterCommit {
                    wakeups: Arc::clone(&wakeups),
                    admission: admission.clone(),
                    relay: links.relay,
                    parked: links.parked,
                    clock: Arc::clone(&clock),
                },
                streaks.keeping.clone(),
                shutdown,
            ),
            blobs,
            blob_outages: BlobOutages::none(Arc::clone(&clock)),
            outlook: Outlook::start(survey, shutdown),
            reads: Reads::start(Arc::clone(&jobs), settings.jobs.inline_result, shutdown),
            waits: Waits::start(jobs, &*wakeups, shutdown),
            health: Health::start(
                schema,
                (publisher.link(), Arc::clone(&wakeups)),
                streaks,
                links.loops,
                Arc::clone(&clock),
                shutdown,
            ),
            tickets: Tickets::new(calls.clone(), Arc::clone(&clock), settings.auth.ticket_lifetime),
            keyring,
            calls,
            admission,
            board: QueueBoard::default(),
            remote,
            submit_quotas: SubmitQuotas::default(),
            webhooks,
            ticks: links.ticks,
            shutdown: shutdown.clone(),
            soonest_forgotten: settings.kinds.values().map(|kind| kind.retention).min().unwrap_or_default(),
            settings,
            clock,
            wakeups,
        }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Jobs that somebody waits for.
    pub(crate) fn waited_for(&self) -> u64 {
        self.waits.count()
    }

    /// What is likely to become of jobs.
    pub(crate) fn outlook(&self) -> &Outlook {
        &self.outlook
    }

    /// How things stand.
    pub(crate) async fn probe(&self) -> Readiness {
        self.health.probe().await
    }

    /// The keys that webhooks' signatures can be checked with.
    pub(crate) fn public_keys(&self) -> &[PublicKey] {
        &self.webhooks.public_keys
    }

    /// Looks at a submission, and at where its webhook would go.
    pub(super) async fn examine(&self, submission: &Submission) -> Result<Examined, Rejection> {
        let mut examined = examine(submission, &self.settings, self.clock.now())?;
        if let Some(webhook) = &examined.job.webhook {
            // Apart, as all that few requests need: so that those that do not are held, and moved, small.
            examined.faults.extend(Box::pin(self.webhooks.fault(&webhook.url, &examined.job.tenant)).await);
        }
        Ok(examined)
    }

    /// What would be kept of a submission, or what is wrong with it; keeps nothing.
    pub(crate) async fn check(&self, submission: &Submission) -> Result<NewJob, Rejection> {
        let Examined { job, faults } = self.examine(submission).await?;
        if faults.is_empty() { Ok(job) } else { Err(Rejection::Faults(faults)) }
    }

    /// The same for one of many: a webhook's name is not resolved, which is done again before anything is sent.
    pub(crate) fn check_as_written(&self, submission: &Submission) -> Result<NewJob, Rejection> {
        let Examined { job, mut faults } = examine(submission, &self.settings, self.clock.now())?;
        if let Some(webhook) = &job.webhook {
            faults.extend(self.webhooks.fault_as_written(&webhook.url));
        }
        if faults.is_empty() { Ok(job) } else { Err(Rejection::Faults(faults)) }
    }

    /// Keeps a job, or finds the one that the same request made before; then waits up to `patience` for its end.
    pub(super) async fn keep(&self, submission: &Submission, patience: Duration) -> Result<Submitted, SubmitError> {
        if self.shutdown.has_begun() {
            return Err(Refusal::ShuttingDown.into());
        }
        let Examined { job: mut new, faults } = self.examine(submission).await.map_err(SubmitError::Rejected)?;
        if !faults.is_empty() {
            // A repeated request is answered as the first was, even once its deadline has passed or its webhook's name
            // is gone.
            let repeated = match &submission.key {
                Some(key) if are_late(&faults) => self.holder(&submission.tenant, key).await?.is_some(),
                _ => false,
            };
            if !repeated {
                return Err(SubmitError::Rejected(Rejection::Faults(faults)));
            }
        }
        self.check_id_is_free(submission.id).await?;
        self.admission.admit(&new.queue, self.settings.jobs.max_queued).await?;
        let Charge { level, paid } = self.charge(submission).await?;
        new.express = self.admission.passes(&new.queue, &new.tenant);

        let follower = (!patience.is_zero()).then(|| self.follower(&new.tenant, new.id));
        let sent = new.idempotency.clone();
        let mut job = Arc::new(fresh_job(&new, Status::Queued));
        let accepted = self.intake.accept(new).await;
        if submission.id.is_some() && matches!(accepted, Err(Refusal::Unkeepable)) {
            return Err(taken());
        }
        match accepted? {
            Accepted::New { status, .. } => {
                // Nobody else has it yet.
                Arc::make_mut(&mut job).status = status;
                self.note_retried(submission.retry_of, job.id).await;
                let job = match follower {
                    Some(follower) => Box::pin(self.follow(follower, job, None, patience)).await,
                    None => job,
                };
                Ok(Submitted { job, replayed: false, level })
            }
            Accepted::Known { first, fingerprint } => {
                drop(follower);
                // It made nothing.
                if paid {
                    self.submit_quotas.give_back(&submission.tenant, 1);
                }
                if sent.is_none_or(|sent| sent.fingerprint != fingerprint) {
                    return Err(Refusal::KeyReused { first }.into());
                }
                let job = Box::pin(self.wait(&submission.tenant, first, None, patience)).await?;
                Ok(Submitted { job, replayed: true, level })
            }
        }
    }

    /// Refuses a client's id that is another job's already, before the store has to.
    pub(crate) async fn check_id_is_free(&self, id: Option<JobId>) -> Result<(), SubmitError> {
        let Some(id) = id else { return Ok(()) };
        let own = IdempotencyKey::of_job(id);
        match self.reads.find(id).await? {
            Some(job) if job.idempotency_key.as_deref() != Some(own.as_str()) => Err(taken()),
            _ => Ok(()),
        }
    }

    /// The job that holds a tenant's key, and the request that it was for.
    pub(super) async fn holder(
        &self,
        tenant: &TenantName,
        key: &IdempotencyKey,
    ) -> Result<Option<(JobId, Fingerprint)>, Refusal> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.calls.ask(move |store| async move { store.jobs.find_key_holder(&tenant, key.as_str()).await }).await
    }

    /// Reads a tenant's job. Another tenant's is missing like one that never was: it is read all the same, so that the time
    /// that this takes does not tell either.
    pub(crate) async fn job(&self, tenant: &TenantName, id: JobId) -> Result<Arc<Job>, Refusal> {
        match self.reads.find(id).await? {
            Some(job) if job.tenant == *tenant => Ok(job),
            _ => Err(self.missing(id)),
        }
    }

    /// Tells a job that was forgotten from one that never was, without keeping anything of either: its id carries its
    /// time. Only a job that its client wanted forgotten sooner than any kind does is taken for one that never was.
    pub(super) fn missing(&self, id: JobId) -> Refusal {
        let age = self.clock.now() - id.created_at();
        let forgotten = id.is_v7() && age > self.soonest_forgotten;
        if forgotten { Refusal::ExpiredJob(id) } else { Refusal::UnknownJob(id) }
    }

    /// Reads a job once it has passed version `seen` (`None`: once it has ended), or `patience` is over, or this server
    /// drains.
    pub(crate) async fn wait(
        &self,
        tenant: &TenantName,
        id: JobId,
        seen: Option<Version>,
        patience: Duration,
    ) -> Result<Arc<Job>, Refusal> {
        if patience.is_zero() {
            return self.job(tenant, id).await;
        }
        // First the interest, then the read: a change in between is heard of.
        let follower = self.follower(tenant, id);
        let job = self.job(tenant, id).await?;
        Ok(self.follow(follower, job, seen, patience).await)
    }

    /// Watches a job for somebody who will read it next, version after version.
    pub(crate) fn follower(&self, tenant: &TenantName, id: JobId) -> Follower {
        Follower::new(tenant.clone(), id, self.waits.interest(id), self.reads.clone(), self.shutdown.clone())
    }

    async fn follow(
        &self,
        mut follower: Follower,
        job: Arc<Job>,
        seen: Option<Version>,
        patience: Duration,
    ) -> Arc<Job> {
        if has_passed(&job, seen) {
            return job;
        }
        match follower.moved(seen, patience).await {
            Followed::Moved(job) => job,
            // What it has come to meanwhile, or, if the store is away, what was known when it last answered.
            Followed::Unmoved | Followed::Draining => self.reads.find(job.id).await.ok().flatten().unwrap_or(job),
            Followed::Gone => job,
        }
    }

    /// Reads a succeeded job's result. `None`: it has none (any more).
    pub(crate) async fn result(&self, job: &Job) -> Result<Option<StoredResult>, Refusal> {
        let Some(result) = &job.result else { return Ok(None) };
        if let Some(bytes) = &result.inline {
            let (content_type, digest) = (result.content_type.clone(), result.digest);
            return Ok(Some(StoredResult { content_type, digest, body: Body::Inline(bytes.clone()) }));
        }
        let id = job.id;
        self.calls.ask(move |store| async move { store.jobs.find_result(id).await }).await
    }

    /// Reads lines of a job's log, whosever it is: after the job was read.
    pub(crate) async fn logs(&self, id: JobId, after: u32, limit: u32) -> Result<Vec<LoggedLine>, Refusal> {
        self.calls.ask(move |store| async move { store.logs.list_logs(id, after, limit).await }).await
    }

    /// Lists jobs, newest first.
    pub(crate) async fn list(&self, filter: JobFilter, after: Option<Cursor>, limit: u32) -> Result<JobPage, Refusal> {
        self.calls.ask(move |store| async move { store.jobs.list_jobs(&filter, after, limit).await }).await
    }
}

/// Says as little as can be said of an id that may be somebody else's.
fn taken() -> SubmitError {
    let detail = "cannot be used: it is taken, or the store cannot keep what it stands for".to_owned();
    SubmitError::Rejected(Rejection::Faults(vec![Fault { field: Field::Id, kind: FaultKind::IdRefused, detail }]))
}
