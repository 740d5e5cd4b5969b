//! From messages, or from the store, to running attempts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raincheck_shared::broker::{Deliveries, Delivery};
use raincheck_shared::domain::{Ended, KindName, QueueName, WorkerId};
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::lifecycle::{FLOOD, Shutdown};
use raincheck_shared::store::{ClaimedJob, StoreError};
use raincheck_shared::telemetry::Chain;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::patience::Patience;
use super::{Outbox, Parked, Pipeline};
use crate::claimer::{self, Claimed, Source};
use crate::context::Time;
use crate::drain::Drain;
use crate::executor::{Attempt, Limits, Ran, execute};
use crate::handler_log::HandlerLog;
use crate::running::{Run, Stop};
use crate::slots::Reserved;

/// Claims under way at the same time: the next messages are claimed while a slow claim is written.
const CLAIMS: usize = 2;
/// After a claim whose fate is unknown: when to look for jobs that it took and nobody runs. More than once, since the
/// statement may still have been under way the first time.
const STRAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(30)];

impl Pipeline {
    /// Whether anything may be taken at all. The broker's prefetch bounds how many messages wait here.
    pub(super) fn may_claim(&self) -> bool {
        self.worker.is_some() && self.sure
    }

    /// Who claims, if a claim may start right now.
    fn claimant(&self) -> Option<WorkerId> {
        let free = !self.checking_strays && self.claiming.len() < CLAIMS;
        self.worker.filter(|_| self.sure && free)
    }

    /// Nothing new of these queues. Messages that are here go back, and so does what is claimed and waits for a slot; claims
    /// under way and what runs go on.
    pub(super) fn pause(&mut self, paused: Vec<QueueName>, deliveries: &mut dyn Deliveries) {
        tracing::info!(paused = paused.len(), "the list of paused queues has changed");
        deliveries.pause(&paused);
        self.paused = paused;
        let paused = &self.paused;
        self.parked.retain(|parked| !paused.contains(&parked.delivery.dispatch.queue));
        self.running.give_back_waiting(|queue| paused.contains(queue));
    }

    pub(super) fn park(&mut self, delivery: Delivery) {
        if self.paused.contains(&delivery.dispatch.queue) {
            // It was on its way. Dropped, it goes back.
            return;
        }
        let kind = &delivery.dispatch.kind;
        if self.settings.kinds.get(kind).is_some_and(|kind| kind.is_remote()) {
            // It was sent before its kind became remote: who leases its jobs takes them from the store.
            delivery.receipt.ack();
            return;
        }
        if self.registry.get(kind).is_none() && self.unknown_kinds.insert(kind.clone()) {
            tracing::error!(
                job.kind = %kind,
                queue = %delivery.dispatch.queue,
                "no handler here for a kind in a subscribed queue: passing it to other workers"
            );
        }
        self.parked.push(Parked { delivery, since: self.clock.monotonic() });
    }

    /// How long what waits here may wait for more.
    pub(super) fn patience(&self) -> Patience<impl Iterator<Item = Instant>> {
        let busy = self.finishing > 0 || !self.claiming.is_empty();
        Patience { busy, last_claim: self.flood, arrived: self.parked.iter().map(|parked| parked.since) }
    }

    /// Claims what waits here and fits the free slots, all in one.
    pub(super) fn claim_parked(&mut self, outbox: &Outbox, shutdown: &Shutdown) {
        if self.parked.is_empty() || self.patience().has_room(self.clock.monotonic()) {
            return;
        }
        let Some(worker) = self.claimant() else { return };
        let mut messages = Vec::new();
        let slots = &mut self.slots;
        let mut rest = Vec::with_capacity(self.parked.len());
        for parked in self.parked.drain(..) {
            let dispatch = &parked.delivery.dispatch;
            if slots.fits(&dispatch.kind, dispatch.jobs.len()) {
                slots.take(&dispatch.kind, dispatch.jobs.len());
                messages.push(parked.delivery);
            } else {
                rest.push(parked);
            }
        }
        self.parked = rest;
        if !messages.is_empty() {
            let jobs = messages.iter().map(|message| message.dispatch.jobs.len()).sum();
            // Where slots are short, to wait for more would be to leave some empty.
            let has_room = messages.iter().all(|message| self.slots.fits(&message.dispatch.kind, jobs));
            self.flood = (jobs >= FLOOD && has_room).then(|| self.clock.monotonic());
            self.start_claim(worker, Source::Messages(messages), outbox, shutdown);
        }
    }

    /// Whether no message that is here has its slots. They may be all that the broker hands out, and what is behind them would wait
    /// for them, though there were slots for it.
    pub(super) fn is_blocked(&self) -> bool {
        let waits = |parked: &Parked| {
            let dispatch = &parked.delivery.dispatch;
            !self.slots.fits(&dispatch.kind, dispatch.jobs.len())
        };
        !self.parked.is_empty() && self.parked.iter().all(waits)
    }

    /// The database fallback: while the broker is away, hands messages to a dead worker, or none but those that have to wait,
    /// what can run is in the store.
    pub(super) fn claim_from_store(&mut self, outbox: &Outbox, shutdown: &Shutdown) {
        let Some(worker) = self.claimant() else { return };
        // Of a kind that has messages here, those come first.
        let has_messages = |kind: &KindName| self.parked.iter().any(|parked| parked.delivery.dispatch.kind == *kind);
        let (kinds, limit) = self.slots.open_kinds(|kind| !has_messages(kind));
        let queues: Vec<_> = self.queues.iter().filter(|queue| !self.paused.contains(queue)).cloned().collect();
        if kinds.is_empty() || queues.is_empty() || limit == 0 {
            return;
        }
        // Before the store is asked: until it answers, messages and the next look would find the same slots free.
        self.slots.take_any(&kinds, limit);
        let source = Source::Store { queues, kinds, limit };
        self.start_claim(worker, source, outbox, shutdown);
    }

    fn start_claim(&mut self, worker: WorkerId, source: Source, outbox: &Outbox, shutdown: &Shutdown) {
        let lease = self.ids.lease();
        self.claiming.insert(lease);
        let attempts = Arc::clone(&self.store.attempts);
        shutdown.spawn(claimer::claim(attempts, worker, lease, source, outbox.claimed.clone()));
    }

    pub(super) fn on_claimed(&mut self, claimed: Claimed, outbox: &Outbox, shutdown: &Shutdown) {
        self.claiming.remove(&claimed.lease);
        self.slots.release(&claimed.reserved);
        let from_store = matches!(claimed.reserved, Reserved::Any(..));
        match claimed.jobs {
            Ok(jobs) => {
                self.counters.claimed(jobs.len());
                let more = from_store && !jobs.is_empty();
                for job in jobs {
                    self.run_attempt(job, claimed.worker, outbox, shutdown);
                }
                if more && !shutdown.has_begun() {
                    self.claim_from_store(outbox, shutdown);
                }
            }
            Err(StoreError::Rejected(_)) => {
                tracing::debug!("a claim was refused: this incarnation was declared dead");
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "a claim failed, its messages go back");
                let now = self.clock.monotonic();
                self.stray_checks = STRAYS.iter().map(|after| now + *after).collect();
            }
        }
    }

    /// Gives slots that have become free to what was claimed before there were enough.
    pub(super) fn start_waiting(&mut self) {
        let slots = &mut self.slots;
        for queue in self.running.start_waiting(self.clock.monotonic(), |kind| slots.start(kind)) {
            self.tally.started(&queue);
        }
    }

    /// Runs a claimed job, at once or when there is a slot for it. A claim brings more jobs than there are slots when one of its
    /// dispatches is wider than they are: it cannot be claimed in part, and nobody with as few slots could take it otherwise.
    fn run_attempt(&mut self, job: ClaimedJob, worker: WorkerId, outbox: &Outbox, shutdown: &Shutdown) {
        self.slots.take(&job.kind, 1);
        // Declared dead meanwhile, in doubt, or draining: it was taken, but it will not be started.
        let too_late = self.worker != Some(worker) || !self.sure || shutdown.has_begun();
        let starts = !too_late && self.slots.start(&job.kind);
        let (canceled, unwanted) = (CancellationToken::new(), CancellationToken::new());
        let (stop, stopped) = watch::channel(Stop::No);
        let (report, progress) = watch::channel(None);
        let log = HandlerLog::new(self.settings.jobs.max_log, Arc::clone(&self.clock));
        let (fence, token) = (job.fence, job.fence.token);
        self.running.add(Run {
            fence,
            worker,
            lease: job.lease,
            kind: job.kind.clone(),
            queue: job.queue.clone(),
            started: starts.then(|| self.clock.monotonic()),
            canceled: canceled.clone(),
            unwanted: unwanted.clone(),
            stop,
            progress,
            log: log.clone(),
        });
        if too_late || (!starts && self.paused.contains(&job.queue)) {
            let _ = outbox.ended.send((token, Some(Ran::Ended(Ended::Released))));
            return;
        }
        let turn = (!starts).then(|| self.running.wait(token));
        if starts {
            self.tally.started(&job.queue);
        }
        let registry = Arc::clone(&self.registry);
        let (settings, clock) = (Arc::clone(&self.settings), Arc::clone(&self.clock));
        let (ended_to, logs) = (outbox.ended.clone(), Arc::clone(&self.store.logs));
        let (blobs, drain) = (self.blobs.clone(), Drain::of(shutdown));
        shutdown.spawn(async move {
            let ended = match registry.get(&job.kind) {
                Some(entry) => {
                    let limits = Limits::from(&settings.jobs);
                    let attempt = Attempt {
                        entry,
                        job: &job,
                        canceled: canceled.clone(),
                        unwanted,
                        progress: report,
                        log: log.clone(),
                        drain,
                        limits,
                        blobs: &blobs,
                        time: Time::Machine(clock),
                    };
                    tokio::select! {
                        biased;
                        how = stopped_how(stopped) => (how == Stop::GiveBack).then_some(Ran::Ended(Ended::Released)),
                        ran = in_turn(turn, &canceled, attempt) => Some(ran),
                    }
                }
                // Claimed from the store by a race with a changed configuration: not ours to judge.
                None => Some(Ran::Ended(Ended::Released)),
            };
            log.close(job.fence, &*logs).await;
            failpoint::passed(Step::Ran).await;
            let _ = ended_to.send((token, ended));
        });
    }
}

/// Runs an attempt once it has a slot. One that is canceled before ends without having run, and needs none for that.
async fn in_turn(turn: Option<oneshot::Receiver<()>>, canceled: &CancellationToken, attempt: Attempt<'_>) -> Ran {
    if let Some(turn) = turn {
        tokio::select! {
            () = canceled.cancelled() => {}
            // Dropped, it never comes: then the attempt is told to stop.
            Ok(()) = turn => {}
        }
    }
    execute(attempt).await
}

async fn stopped_how(mut stopped: watch::Receiver<Stop>) -> Stop {
    match stopped.wait_for(|stop| *stop != Stop::No).await {
        Ok(stop) => *stop,
        // The pipeline went away without a word: so does the attempt.
        Err(_) => Stop::Abandon,
    }
}
