//! Delivers: takes what is due, sends it, and records what became of it.
//!
//! A delivery is a row in the store until it is through. A courier that dies leaves its rows to others once its hold on them
//! is over; one that was slow is fenced. So each delivery is sent at least once, and by one courier at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use raincheck_shared::broker::Signal;
use raincheck_shared::config::Settings;
use raincheck_shared::domain::{
    CallbackUrl, DeliveryAttempt, DeliveryId, DeliveryState, Event, Job, JobId, TenantName, next_try,
};
use raincheck_shared::lifecycle::{Clock, IdSource, Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::{AfterAttempt, DueDelivery, Room, Store, StoreError};
use raincheck_shared::telemetry::Chain;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::body::{self, Subject};
use super::destinations::DestinationError;
use super::dialer::{Answer, DialError, Dialer, told};
use super::receivers::{Limits, Place, Receivers, Turn};
use super::signature::{SigningKeys, signatures};
use crate::http::LinkBase;

/// How much longer than an attempt may take a delivery is held: enough to record it with a slow store.
const TO_RECORD: Duration = Duration::from_secs(15);
/// When one whose name could not be looked up for all the others is due again.
const ANOTHER_TURN: Duration = Duration::from_secs(2);
/// The answer that asks for no further attempt.
const GONE: u16 = 410;

/// Why an attempt has no answer.
#[derive(Debug)]
enum Unanswered {
    /// Nothing was sent, and that is not the receiver's fault.
    Unsent(String),
    /// The receiver cannot be reached, or is silent.
    Silent(String),
    /// It was not the delivery's turn yet to have its name looked up.
    NotItsTurn,
}

/// Everything that an attempt needs.
pub(super) struct Courier {
    pub(super) settings: Arc<Settings>,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dialer: Dialer,
    pub(super) keys: Arc<SigningKeys>,
    pub(super) links: LinkBase,
}

/// Between two looks that hints bring about: under load each finds many deliveries rather than one. And between two that see
/// a part of the receivers each.
const BREATH: Duration = Duration::from_millis(100);

/// Receivers that one look sees. With more it takes a few looks to see all of them, and none is long.
const AT_A_LOOK: u32 = 1000;

/// Where webhooks are off it looks so many times less often: nothing new comes, but what was to be told before they were
/// switched off has to be recorded as never told.
const WHILE_OFF: u32 = 10;

/// Starts the loop.
pub(super) fn start(courier: Courier, signals: Receiver<Signal>, shutdown: &Shutdown) -> ReconcilerHealth {
    let nudge = Nudge::default();
    let webhooks = &courier.settings.webhooks;
    // Who cannot use webhooks need not be asked for them at every change of a job.
    if webhooks.is_on() {
        shutdown.spawn_service(look_when_jobs_change(signals, nudge.clone()));
    }
    let limits = Limits {
        total: webhooks.concurrency,
        per_receiver: webhooks.per_receiver,
        has_tenants: webhooks.has_tenants(),
    };
    let receivers = Receivers::new(limits, nudge.clone());
    let period = courier.settings.upkeep.deliveries * if webhooks.is_on() { 1 } else { WHILE_OFF };
    let (courier, spawner) = (Arc::new(courier), shutdown.clone());
    Reconciler { name: "webhooks", period, nudge }.start(shutdown, move || {
        let (courier, receivers, spawner) = (Arc::clone(&courier), receivers.clone(), spawner.clone());
        async move { courier.look(&receivers, &spawner).await }
    })
}

/// Whatever is to be told came with the change of a job, and that is a hint. Hints may be lost: then the period finds it.
async fn look_when_jobs_change(mut signals: Receiver<Signal>, nudge: Nudge) {
    let is_worth = |signal: &Signal| matches!(signal, Signal::Changed(_) | Signal::Missed);
    loop {
        let mut worth = match signals.recv().await {
            Ok(signal) => is_worth(&signal),
            Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => return,
        };
        // One look covers all that came meanwhile.
        loop {
            match signals.try_recv() {
                Ok(signal) => worth |= is_worth(&signal),
                Err(TryRecvError::Lagged(_)) => worth = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if worth {
            nudge.nudge();
            tokio::time::sleep(BREATH).await;
        }
    }
}

impl Courier {
    /// Takes what is due and there is room for, and begins to send it.
    async fn look(self: Arc<Self>, receivers: &Receivers, spawner: &Shutdown) -> Result<Next, StoreError> {
        if !receivers.have_room() {
            return Ok(Next::Idle);
        }
        let page = self.store.deliveries.list_due(receivers.seen().as_deref(), AT_A_LOOK).await?;
        receivers.saw(page.next.clone());
        self.begin(receivers.choose(page.due), receivers, spawner).await?;
        if page.next.is_some() {
            tokio::time::sleep(BREATH).await;
            return Ok(Next::Again);
        }
        // Whoever comes to an end lets this loop look again.
        Ok(Next::Idle)
    }

    /// Takes what those whose turn it is have room for, and begins to send it.
    async fn begin(
        self: Arc<Self>,
        turns: Vec<Turn>,
        receivers: &Receivers,
        spawner: &Shutdown,
    ) -> Result<(), StoreError> {
        let hold = self.settings.webhooks.timeout + TO_RECORD;
        let room: Vec<Room> = turns.iter().map(|turn| turn.room.clone()).collect();
        let due = self.store.deliveries.claim_due(&room, hold).await?;
        if due.is_empty() {
            return Ok(());
        }
        let subjects = self.subjects(&due).await?;
        let turns: HashMap<&str, &Turn> = turns.iter().map(|turn| (turn.room.receiver.as_str(), turn)).collect();
        for due in due {
            let Some(turn) = turns.get(due.receiver.as_str()) else { continue };
            let (courier, place) = (Arc::clone(&self), receivers.begin(turn));
            let subject = subjects.get(&due.claim.id).cloned();
            spawner.spawn(async move { courier.deliver(&due, subject.as_ref(), place).await });
        }
        Ok(())
    }

    /// What these deliveries are of, as it stands now.
    async fn subjects(&self, due: &[DueDelivery]) -> Result<HashMap<DeliveryId, Subject>, StoreError> {
        let mut subjects = HashMap::new();
        let mut ids: Vec<JobId> = due.iter().filter_map(|due| due.claim.id.job()).collect();
        ids.sort_unstable();
        ids.dedup();
        let jobs = self.store.jobs.find_jobs(&ids, body::LIMIT as u64).await?;
        let jobs: HashMap<JobId, Arc<Job>> = jobs.into_iter().map(|job| (job.id, Arc::new(job))).collect();
        for id in due.iter().map(|due| due.claim.id) {
            let subject = match id {
                DeliveryId::Job { id, .. } => jobs.get(&id).cloned().map(Subject::Job),
                DeliveryId::Batch(id) => self.store.batches.find_batch(id).await?.map(Arc::new).map(Subject::Batch),
            };
            subjects.extend(subject.map(|subject| (id, subject)));
        }
        Ok(subjects)
    }

    async fn deliver(&self, due: &DueDelivery, subject: Option<&Subject>, mut place: Place) {
        let id = due.claim.id;
        #[cfg(feature = "proof")]
        if raincheck_shared::lifecycle::Mutation::EarlyDelivered.is_on() {
            let done = AfterAttempt::Over(DeliveryState::Delivered);
            let _ = self.store.deliveries.record_attempt(due.claim, None, done).await;
            // As with a receiver that takes its time.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let (attempt, after) = self.attempt(due, subject, &mut place).await;
        let recorded = match (&attempt, after, subject) {
            (Some(attempt), AfterAttempt::Over(DeliveryState::Delivered), Some(Subject::Job(job)))
                if due.event == Event::Progress =>
            {
                // The job may have come further while the receiver took its time.
                self.store.deliveries.record_told_progress(due.claim, attempt, job.version).await
            }
            _ => self.store.deliveries.record_attempt(due.claim, attempt.as_ref(), after).await,
        };
        match recorded {
            Ok(true) => tracing::debug!(delivery.id = %id, ?after, "webhook attempted"),
            Ok(false) => tracing::debug!(delivery.id = %id, "somebody else has taken up this delivery"),
            // It will be sent again: at least once.
            Err(error) => tracing::warn!(delivery.id = %id, error = %Chain(&error), "an attempt was not recorded"),
        }
    }

    /// Sends a delivery, unless there is nothing to send any more.
    async fn attempt(
        &self,
        due: &DueDelivery,
        subject: Option<&Subject>,
        place: &mut Place,
    ) -> (Option<DeliveryAttempt>, AfterAttempt) {
        let (at, began) = (self.clock.now(), self.clock.monotonic());
        let attempt = |status, response, error| {
            let latency = self.clock.monotonic().saturating_duration_since(began).as_millis();
            let latency_ms = u64::try_from(latency).unwrap_or(u64::MAX);
            Some(DeliveryAttempt { at, latency_ms, status, response, error })
        };
        let Some(subject) = subject else {
            let error = "what it tells of is past its retention: there is nothing left to tell".to_owned();
            return (attempt(None, None, Some(error)), AfterAttempt::Over(DeliveryState::Failed));
        };
        if due.event == Event::Progress && matches!(subject, Subject::Job(job) if job.status.is_done()) {
            return (None, AfterAttempt::Over(DeliveryState::Superseded));
        }
        match self.send(due, subject).await {
            Ok(answer) => {
                place.answered(true);
                let response = DeliveryAttempt::readable(&answer.body);
                let after = self.after(due, Some(&answer));
                (attempt(Some(answer.status), response, problem_of(answer.status)), after)
            }
            Err(Unanswered::Silent(error)) => {
                place.answered(false);
                (attempt(None, None, Some(error)), self.after(due, None))
            }
            // Nobody has tried anything, so it is no attempt.
            Err(Unanswered::NotItsTurn) => (None, AfterAttempt::Again(ANOTHER_TURN)),
            // Said as it is. The receiver has done nothing, so it loses none of its room.
            Err(Unanswered::Unsent(error)) => {
                tracing::warn!(delivery.id = %due.claim.id, error, "a webhook was not sent");
                (attempt(None, None, Some(format!("nothing was sent: {error}"))), self.after(due, None))
            }
        }
    }

    async fn send(&self, due: &DueDelivery, subject: &Subject) -> Result<Answer, Unanswered> {
        let unsent = |error: &dyn std::fmt::Display| Unanswered::Unsent(error.to_string());
        let Some((tenant, url)) = addressee(subject) else { return Err(unsent(&"there is nobody to tell")) };
        let secrets = self.settings.webhooks.secrets_of(tenant);
        if secrets.is_empty() {
            let error = format!("the setting webhooks.secrets has no secret of {tenant} any more to sign with");
            return Err(Unanswered::Unsent(error));
        }
        let id = due.claim.id;
        let body = body::render(due.event, due.created_at, subject, &self.links).map_err(|error| unsent(&error))?;
        let timestamp = self.clock.now().unix_timestamp();
        let signature = signatures(id, timestamp, &body, secrets, &self.keys);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", id.to_string()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ] {
            let value = HeaderValue::try_from(value).map_err(|error| unsent(&error))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        self.dialer.post(url, tenant, headers, body).await.map_err(|error| match error {
            DialError::Destination(DestinationError::Busy) => Unanswered::NotItsTurn,
            error => Unanswered::Silent(told(&error)),
        })
    }

    /// What comes after an attempt and its answer.
    fn after(&self, due: &DueDelivery, answer: Option<&Answer>) -> AfterAttempt {
        match answer {
            Some(Answer { status: 200..=299, .. }) => return AfterAttempt::Over(DeliveryState::Delivered),
            Some(Answer { status: GONE, .. }) => return AfterAttempt::Over(DeliveryState::Failed),
            _ => {}
        }
        let asked = answer.and_then(|answer| answer.retry_after);
        let pause = next_try(&self.settings.webhooks.retries, due.tries + 1, asked, IdSource.fraction());
        pause.map_or(AfterAttempt::Over(DeliveryState::Failed), AfterAttempt::Again)
    }
}

/// Whose it is, and where it is told of.
fn addressee(subject: &Subject) -> Option<(&TenantName, &CallbackUrl)> {
    match subject {
        Subject::Job(job) => Some((&job.tenant, &job.webhook.as_ref()?.wish.url)),
        Subject::Batch(batch) => Some((&batch.tenant, &batch.webhook.as_ref()?.url)),
    }
}

/// Why a status is no success.
fn problem_of(status: u16) -> Option<String> {
    let hint = match status {
        200..=299 => return None,
        300..=399 => " (redirects are not followed)",
        GONE => " (and asks for no further attempt)",
        _ => "",
    };
    Some(format!("the receiver answered {status}{hint}"))
}
