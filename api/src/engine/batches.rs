//! Jobs that are submitted together.
//!
//! Each item is looked at on its own, and one that is refused leaves its neighbours alone; what is good is kept in one
//! commit, so that a batch is never half there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::Signal;
use raincheck_shared::domain::{
    Batch, BatchId, CallbackUrl, Idempotency, Job, NewBatch, NewJob, QueueName, TenantName,
};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Accepted, AcceptedWhole, StoreError};

use super::acceptance::{Examined, examine, fresh_job};
use super::desk::{Desk, SubmitError};
use super::webhook_wishes::webhook_of_batch;
use super::{FaultKind, Refusal, Rejection, Submission, WebhookOptions};

/// The longest pause between two looks at a batch that somebody waits for.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest one.
const SPIN: Duration = Duration::from_millis(50);

/// What became of one item.
#[derive(Debug)]
pub(crate) enum ItemAnswer {
    /// There is a job of it, made now or, with a key that was known, before.
    Kept { job: Arc<Job>, replayed: bool },
    /// This would be kept; it was only to be looked at.
    Planned(Box<NewJob>),
    /// It came to nothing.
    Failed(SubmitError),
    /// Its shape was wrong: the wire knows how.
    Unread,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct BatchAnswer {
    /// `None`: nothing of it was kept.
    pub(crate) id: Option<BatchId>,
    /// Whether an earlier request with the same key had made it.
    pub(crate) replayed: bool,
    /// One for each item, in their order.
    pub(crate) items: Vec<ItemAnswer>,
}

impl Desk {
    /// Keeps a batch, or finds the one that the same request made before. `None` in `items`: could not be read. `wish`: where
    /// its end is to be told.
    pub(crate) async fn submit_batch(
        &self,
        tenant: TenantName,
        items: Vec<Option<Submission>>,
        idempotency: Option<Idempotency>,
        wish: Option<&WebhookOptions>,
    ) -> Result<BatchAnswer, SubmitError> {
        if self.shutdown.has_begun() {
            return Err(Refusal::ShuttingDown.into());
        }
        let webhook = self.webhook_of_batch(&tenant, wish, idempotency.as_ref()).await?;
        let id = IdSource.batch();
        let mut jobs: Vec<(usize, NewJob)> = Vec::new();
        let mut ahead: HashMap<QueueName, Ahead> = HashMap::new();
        let mut answers = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let examined = match item {
                Some(item) => Some(self.examine_item(&item, &mut ahead).await),
                None => None,
            };
            answers.push(match examined {
                None => Some(ItemAnswer::Unread),
                Some(Ok(Item::Planned(job))) => Some(ItemAnswer::Planned(job)),
                Some(Ok(Item::Good(job))) => {
                    jobs.push((place, NewJob { batch: Some(id), ..*job }));
                    None
                }
                Some(Err(error)) => Some(ItemAnswer::Failed(error)),
            });
        }
        if jobs.is_empty() && idempotency.is_none() {
            return Ok(BatchAnswer { id: None, replayed: false, items: answers.into_iter().flatten().collect() });
        }
        let paid = self.charge_batch(&tenant, &jobs).await?;
        for (_, job) in &mut jobs {
            job.express = self.admission.passes(&job.queue, &tenant);
        }
        let retention = jobs.iter().map(|(_, job)| job.retention).max().unwrap_or_default();
        let (items, whole) = (answers.len(), idempotency.clone());
        let batch = NewBatch { id, tenant: tenant.clone(), idempotency, retention, items, jobs: jobs.clone(), webhook };
        match self.calls.ask(move |store| async move { store.batches.accept_batch(batch).await }).await? {
            AcceptedWhole::New { answers: accepted, dispatches } => {
                self.intake.kept(jobs.iter().map(|(_, job)| job), &accepted, dispatches);
                let made = accepted.iter().filter(|answer| matches!(answer, Ok(Accepted::New { .. }))).count();
                self.settle(&tenant, paid, made);
                for ((place, job), answer) in jobs.into_iter().zip(accepted) {
                    answers[place] = Some(self.item_answer(&tenant, &job, answer).await);
                }
                let items = answers.into_iter().flatten().collect();
                Ok(BatchAnswer { id: (made > 0).then_some(id), replayed: false, items })
            }
            AcceptedWhole::Known { first, fingerprint } => {
                self.settle(&tenant, paid, 0);
                if whole.is_none_or(|sent| sent.fingerprint != fingerprint) {
                    return Err(Refusal::BatchKeyReused { first }.into());
                }
                let items = self.replayed_items(&tenant, first, answers).await?;
                Ok(BatchAnswer { id: Some(first), replayed: true, items })
            }
        }
    }

    /// Looks at where the end of a batch is to be told. As with a job, a repeated request is answered as the first was, even
    /// once its webhook's name is gone.
    async fn webhook_of_batch(
        &self,
        tenant: &TenantName,
        wish: Option<&WebhookOptions>,
        idempotency: Option<&Idempotency>,
    ) -> Result<Option<CallbackUrl>, SubmitError> {
        let Some(wish) = wish else { return Ok(None) };
        let mut faults = Vec::new();
        let url = webhook_of_batch(wish, tenant, &self.settings, &mut faults);
        if let Some(url) = &url {
            faults.extend(self.webhooks.fault(url, tenant).await);
        }
        if faults.is_empty()
            || faults.iter().all(|fault| fault.kind == FaultKind::Webhook) && self.is_known(tenant, idempotency).await?
        {
            return Ok(url);
        }
        Err(SubmitError::Rejected(Rejection::Faults(faults)))
    }

    /// Whether a tenant's key of a whole batch is held. A batch of nothing is never kept, so that to ask is all this does.
    async fn is_known(&self, tenant: &TenantName, idempotency: Option<&Idempotency>) -> Result<bool, Refusal> {
        let Some(idempotency) = idempotency.cloned() else { return Ok(false) };
        let (id, tenant) = (IdSource.batch(), tenant.clone());
        let jobs = Vec::new();
        let nothing = NewBatch {
            id,
            tenant,
            idempotency: Some(idempotency),
            retention: Duration::ZERO,
            items: 0,
            jobs,
            webhook: None,
        };
        let answer = self.calls.ask(move |store| async move { store.batches.accept_batch(nothing).await }).await?;
        Ok(matches!(answer, AcceptedWhole::Known { .. }))
    }

    async fn examine_item(
        &self,
        item: &Submission,
        ahead: &mut HashMap<QueueName, Ahead>,
    ) -> Result<Item, SubmitError> {
        let Examined { job, mut faults } =
            examine(item, &self.settings, self.clock.now()).map_err(SubmitError::Rejected)?;
        if let Some(webhook) = &job.webhook {
            // What names mean is looked at when something is sent: a thousand look-ups would hold up the batch.
            faults.extend(self.webhooks.fault_as_written(&webhook.url));
        }
        if !faults.is_empty() {
            return Err(SubmitError::Rejected(Rejection::Faults(faults)));
        }
        if item.options.validate_only {
            return Ok(Item::Planned(Box::new(job)));
        }
        let ahead = ahead.entry(job.queue.clone()).or_default();
        if let Some(waiting) = ahead.full_with {
            return Err(Refusal::QueueFull { queue: job.queue, waiting }.into());
        }
        let admitted = self.admission.admit_behind(&job.queue, ahead.jobs, self.settings.jobs.max_queued).await;
        if let Err(Refusal::QueueFull { waiting, .. }) = &admitted {
            ahead.full_with = Some(*waiting);
        }
        admitted?;
        // One that is delayed goes into its queue when it is due.
        ahead.jobs += u64::from(job.run_at.is_none());
        Ok(Item::Good(Box::new(job)))
    }

    async fn item_answer(&self, tenant: &TenantName, new: &NewJob, answer: Result<Accepted, StoreError>) -> ItemAnswer {
        let kept = match answer {
            Ok(Accepted::New { status, .. }) => Ok((Arc::new(fresh_job(new, status)), false)),
            Ok(Accepted::Known { first, fingerprint }) => {
                if new.idempotency.as_ref().is_some_and(|sent| sent.fingerprint == fingerprint) {
                    self.job(tenant, first).await.map(|job| (job, true))
                } else {
                    Err(Refusal::KeyReused { first })
                }
            }
            Err(error) => Err(error.into()),
        };
        match kept {
            Ok((job, replayed)) => ItemAnswer::Kept { job, replayed },
            Err(refusal) => ItemAnswer::Failed(refusal.into()),
        }
    }

    /// The items of an earlier request, as they are now. `answers`: those that are refused now as they were then.
    async fn replayed_items(
        &self,
        tenant: &TenantName,
        first: BatchId,
        answers: Vec<Option<ItemAnswer>>,
    ) -> Result<Vec<ItemAnswer>, Refusal> {
        let kept = self.calls.ask(move |store| async move { store.batches.find_batch_items(first).await }).await?;
        let ids = kept.into_iter().chain(std::iter::repeat(None));
        let items = answers.into_iter().zip(ids).map(|(answer, id)| async move {
            match (id, answer) {
                (Some(id), _) => match self.job(tenant, id).await {
                    Ok(job) => ItemAnswer::Kept { job, replayed: true },
                    Err(refusal) => ItemAnswer::Failed(refusal.into()),
                },
                (None, Some(answer)) => answer,
                (None, None) => ItemAnswer::Failed(Refusal::LeftOut.into()),
            }
        });
        Ok(futures_util::future::join_all(items).await)
    }

    /// Reads a tenant's batch as it stands.
    pub(crate) async fn batch(&self, tenant: &TenantName, id: BatchId) -> Result<Batch, Refusal> {
        let found = self.calls.ask(move |store| async move { store.batches.find_batch(id).await }).await?;
        found.filter(|batch| batch.tenant == *tenant).ok_or_else(|| {
            let forgotten =
                id.as_uuid().get_version_num() == 7 && self.clock.now() - id.created_at() > self.soonest_forgotten;
            if forgotten { Refusal::ExpiredBatch(id) } else { Refusal::UnknownBatch(id) }
        })
    }

    /// Reads a batch once it has ended, or `patience` is over, or this server drains. It waits for the last of its jobs that
    /// live, by the wake-ups that it makes as any job, and looks again when that has ended, or a second has passed.
    pub(crate) async fn wait_for_batch(
        &self,
        tenant: &TenantName,
        id: BatchId,
        patience: Duration,
    ) -> Result<Batch, Refusal> {
        let mut batch = self.batch(tenant, id).await?;
        let mut over = std::pin::pin!(async {
            tokio::select! {
                () = tokio::time::sleep(patience) => {}
                () = self.shutdown.begun() => {}
            }
        });
        while batch.finished_at.is_none() && !patience.is_zero() {
            let looked = self.clock.monotonic();
            let ended = async {
                match batch.last_live {
                    Some(job) => self.waits.interest(job).moved(None).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut over => break,
                () = ended => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            let since = self.clock.monotonic().saturating_duration_since(looked);
            tokio::time::sleep(SPIN.saturating_sub(since)).await;
            match self.batch(tenant, id).await {
                Ok(read) => batch = read,
                // What was known when the store last answered.
                Err(Refusal::StoreAway | Refusal::StoreSilent(_) | Refusal::Busy) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(batch)
    }

    /// Cancels what of a tenant's batch has not ended; answers how it stands then.
    pub(crate) async fn cancel_batch(
        &self,
        tenant: &TenantName,
        id: BatchId,
        reason: Option<String>,
    ) -> Result<Batch, Refusal> {
        self.batch(tenant, id).await?;
        let (grace, whose) = (self.settings.jobs.cancel_grace, tenant.clone());
        let outcome = self
            .calls
            .ask(move |store| async move { store.batches.cancel_batch(&whose, id, reason.as_deref(), grace).await })
            .await?;
        if !outcome.asked.is_empty() {
            self.wakeups.announce(Signal::CancelRequested(outcome.asked.iter().map(|change| change.id).collect()));
            self.wakeups.announce(Signal::TimerSet(grace));
        }
        let changes: Vec<_> = outcome.canceled.into_iter().chain(outcome.asked).collect();
        if !changes.is_empty() {
            self.wakeups.announce(Signal::Changed(changes));
        }
        self.batch(tenant, id).await
    }
}

/// What goes into a queue before the next item of its batch.
#[derive(Debug, Default)]
struct Ahead {
    jobs: u64,
    /// So many waited there when one found no room. The rest does not wait for room either.
    full_with: Option<u64>,
}

/// An item that was found good.
enum Item {
    /// To be kept.
    Good(Box<NewJob>),
    /// Only to be looked at.
    Planned(Box<NewJob>),
}
