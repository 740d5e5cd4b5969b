//! A job's way through a worker: message → claim → attempt → finish.
//!
//! One task owns all state and never waits for the store: claims, attempts and finishes are tasks of their own that
//! report back. So a slow statement delays its own jobs and nothing else.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raincheck_shared::broker::{Broker, Deliveries, Delivery, Link, Signal};
use raincheck_shared::config::Settings;
use raincheck_shared::domain::{Ended, KindName, LeaseId, QueueName, WorkerId};
use raincheck_shared::lifecycle::{Clock, IdSource, Shutdown};
use raincheck_shared::store::{ClaimedJob, Finish, Store, StoreError};
use raincheck_shared::telemetry::Chain;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claimer::{self, Claimed, Source};
use crate::counters::Counters;
use crate::executor::{Attempt, Limits, execute};
use crate::finisher::Finisher;
use crate::heartbeat::{Heartbeat, Pulse};
use crate::registry::Registry;
use crate::running::{Run, Running, Stop};
use crate::slots::Slots;

/// Claims under way at the same time: the next messages are claimed while the last claim is written.
const CLAIMS: usize = 2;
/// How long a message may wait here for a slot before another worker gets the chance.
const PARKED: Duration = Duration::from_secs(1);
/// How long handlers may take to stop when the drain time is over.
const STOPPING: Duration = Duration::from_secs(2);
/// How often handlers' progress is recorded.
const PROGRESS: Duration = Duration::from_secs(1);
/// After a claim whose fate is unknown: when to look for jobs that it took and nobody runs. More than once, since the
/// statement may still have been under way the first time.
const STRAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(30)];

struct Parked {
    delivery: Delivery,
    since: Instant,
}

pub(crate) struct Pipeline {
    settings: Arc<Settings>,
    store: Store,
    broker: Broker,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    queues: Vec<QueueName>,
    ids: IdSource,
    slots: Slots,
    parked: Vec<Parked>,
    running: Running,
    /// Who claims; `None` before registration and after a loss.
    worker: Option<WorkerId>,
    /// Whether its lease was renewed lately: nothing is claimed while that is in doubt.
    sure: bool,
    claiming: HashSet<LeaseId>,
    stray_checks: Vec<Instant>,
    /// No claim may start meanwhile: the check would take it for a stray.
    checking_strays: bool,
    unknown_kinds: HashSet<KindName>,
}

/// The ends of the channels on which the pipeline hears.
struct Inbox {
    claimed: mpsc::UnboundedReceiver<Claimed>,
    ended: mpsc::UnboundedReceiver<(Uuid, Option<Ended>)>,
    finished: mpsc::UnboundedReceiver<Vec<Uuid>>,
    strays_checked: mpsc::UnboundedReceiver<bool>,
    signals: broadcast::Receiver<Signal>,
    link: watch::Receiver<Link>,
}

/// The ends on which others report, and where ends of attempts go.
#[derive(Clone)]
struct Outbox {
    claimed: mpsc::UnboundedSender<Claimed>,
    ended: mpsc::UnboundedSender<(Uuid, Option<Ended>)>,
    finish: mpsc::UnboundedSender<Finish>,
    strays_checked: mpsc::UnboundedSender<bool>,
}

impl Pipeline {
    pub(crate) fn new(
        settings: Arc<Settings>,
        store: Store,
        broker: Broker,
        registry: Registry,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        queues: Vec<QueueName>,
    ) -> Self {
        let kinds = registry.entries().map(|entry| (entry.kind.name.clone(), entry.kind.concurrency));
        let slots = Slots::new(settings.worker.concurrency, kinds);
        Self {
            settings,
            store,
            broker,
            registry: Arc::new(registry),
            clock,
            counters,
            queues,
            ids: IdSource,
            slots,
            parked: Vec::new(),
            running: Running::default(),
            worker: None,
            sure: false,
            claiming: HashSet::new(),
            stray_checks: Vec::new(),
            checking_strays: false,
            unknown_kinds: HashSet::new(),
        }
    }

    /// Spawns the pipeline, which ends when `shutdown` has begun and everything here has ended.
    pub(crate) fn start(self, heartbeat: Heartbeat, deliveries: Box<dyn Deliveries>, shutdown: &Shutdown) {
        let (claimed_to, claimed) = mpsc::unbounded_channel();
        let (ended_to, ended) = mpsc::unbounded_channel();
        let (finish, to_finish) = mpsc::unbounded_channel();
        let (settled_to, finished) = mpsc::unbounded_channel();
        let (strays_to, strays_checked) = mpsc::unbounded_channel();
        let lane = Finisher {
            attempts: Arc::clone(&self.store.attempts),
            wakeups: Arc::clone(&self.broker.wakeups),
            counters: Arc::clone(&self.counters),
            ids: self.ids,
            nudge_below: self.settings.upkeep.timers,
        };
        shutdown.spawn_service(lane.run(to_finish, settled_to));
        let signals = self.broker.wakeups.subscribe();
        let inbox = Inbox { claimed, ended, finished, strays_checked, signals, link: deliveries.link() };
        let outbox = Outbox { claimed: claimed_to, ended: ended_to, finish, strays_checked: strays_to };
        shutdown.spawn(self.run(inbox, outbox, heartbeat, deliveries, shutdown.clone()));
    }

    async fn run(
        mut self,
        mut inbox: Inbox,
        outbox: Outbox,
        mut heartbeat: Heartbeat,
        mut deliveries: Box<dyn Deliveries>,
        shutdown: Shutdown,
    ) {
        let (mut draining, mut drain_ends) = (false, None);
        let mut asked_to_stop = false;
        let mut fallback = tokio::time::interval(self.settings.worker.fallback_poll);
        fallback.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut progress = tokio::time::interval(PROGRESS);
        progress.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if draining && self.is_empty() {
                break;
            }
            let broker_down = *inbox.link.borrow_and_update() == Link::Down;
            let housekeeping = !self.running.is_empty() || !self.parked.is_empty() || !self.stray_checks.is_empty();
            tokio::select! {
                () = shutdown.begun(), if !draining => {
                    draining = true;
                    drain_ends = Some(self.clock.monotonic() + self.settings.worker.drain_timeout);
                    self.parked.clear();
                    deliveries.stop().await;
                    tracing::info!(worker.running = self.running.len(), "draining: taking nothing more");
                }
                () = sleep_until(drain_ends), if draining => {
                    drain_ends = self.drain_further(&mut asked_to_stop);
                }
                pulse = heartbeat.pulses.recv() => self.on_pulse(pulse, &shutdown),
                delivery = deliveries.next(), if !draining && self.may_claim() => match delivery {
                    Some(delivery) => self.park(delivery),
                    None => shutdown.begin(),
                },
                Some(claimed) = inbox.claimed.recv() => self.on_claimed(claimed, &outbox, &shutdown),
                Some((token, ended)) = inbox.ended.recv() => self.on_ended(token, ended, &outbox),
                Some(tokens) = inbox.finished.recv() => tokens.iter().for_each(|token| self.forget(token)),
                signal = inbox.signals.recv() => if let Ok(Signal::CancelRequested(jobs)) = signal {
                    for job in &jobs {
                        self.running.cancel(job);
                    }
                },
                Some(done) = inbox.strays_checked.recv() => self.on_strays_checked(done),
                _ = inbox.link.changed() => {}
                _ = fallback.tick(), if broker_down && !draining => self.claim_from_store(&outbox, &shutdown),
                _ = progress.tick(), if housekeeping => self.housekeep(&outbox, &shutdown),
            }
            if !draining {
                self.claim_parked(&outbox, &shutdown);
            }
        }
        heartbeat.end().await;
        tracing::info!(
            worker.claimed_total = self.counters.claimed_total(),
            worker.finished_total = self.counters.finished_total(),
            worker.fenced_total = self.counters.fenced_total(),
            "worker has stopped"
        );
    }

    /// The drain time is over: handlers are asked to stop, and a moment later dropped, and their jobs given back.
    /// Answers when to call this again.
    fn drain_further(&mut self, asked_to_stop: &mut bool) -> Option<Instant> {
        if std::mem::replace(asked_to_stop, true) {
            self.running.stop_all(Stop::GiveBack);
            // What is left are the store's answers, which take as long as they take, or a second signal.
            return None;
        }
        tracing::warn!(worker.running = self.running.len(), "drain time is over: giving back what still runs");
        self.running.cancel_all();
        Some(self.clock.monotonic() + STOPPING)
    }

    fn is_empty(&self) -> bool {
        self.running.is_empty() && self.claiming.is_empty()
    }

    /// Whether anything may be taken at all. The broker's prefetch bounds how many messages wait here.
    fn may_claim(&self) -> bool {
        self.worker.is_some() && self.sure
    }

    /// Who claims, if a claim may start right now.
    fn claimant(&self) -> Option<WorkerId> {
        let free = !self.checking_strays && self.claiming.len() < CLAIMS;
        self.worker.filter(|_| self.sure && free)
    }

    fn park(&mut self, delivery: Delivery) {
        let kind = &delivery.dispatch.kind;
        if self.registry.get(kind).is_none() && self.unknown_kinds.insert(kind.clone()) {
            tracing::error!(
                job.kind = %kind,
                queue = %delivery.dispatch.queue,
                "no handler here for a kind in a subscribed queue: passing it to other workers"
            );
        }
        self.parked.push(Parked { delivery, since: self.clock.monotonic() });
    }

    /// Claims what waits here and fits the free slots, all in one.
    fn claim_parked(&mut self, outbox: &Outbox, shutdown: &Shutdown) {
        if self.parked.is_empty() {
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
            self.start_claim(worker, Source::Messages(messages), outbox, shutdown);
        }
    }

    /// The database fallback: while the broker is away, what waits is in the store.
    fn claim_from_store(&mut self, outbox: &Outbox, shutdown: &Shutdown) {
        let Some(worker) = self.claimant() else { return };
        let (kinds, limit) = self.slots.open_kinds();
        if kinds.is_empty() || limit == 0 {
            return;
        }
        let source = Source::Store { queues: self.queues.clone(), kinds, limit };
        self.start_claim(worker, source, outbox, shutdown);
    }

    fn start_claim(&mut self, worker: WorkerId, source: Source, outbox: &Outbox, shutdown: &Shutdown) {
        let lease = self.ids.lease();
        self.claiming.insert(lease);
        let attempts = Arc::clone(&self.store.attempts);
        shutdown.spawn(claimer::claim(attempts, worker, lease, source, outbox.claimed.clone()));
    }

    fn on_claimed(&mut self, claimed: Claimed, outbox: &Outbox, shutdown: &Shutdown) {
        self.claiming.remove(&claimed.lease);
        for (kind, count) in &claimed.reserved {
            self.slots.free(kind, *count);
        }
        match claimed.jobs {
            Ok(jobs) => {
                self.counters.claimed(jobs.len());
                let more = claimed.from_store && !jobs.is_empty();
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

    fn run_attempt(&mut self, job: ClaimedJob, worker: WorkerId, outbox: &Outbox, shutdown: &Shutdown) {
        self.slots.take(&job.kind, 1);
        let canceled = CancellationToken::new();
        let (stop, stopped) = watch::channel(Stop::No);
        let (report, progress) = watch::channel(None);
        let (fence, token) = (job.fence, job.fence.token);
        self.running.add(Run {
            fence,
            worker,
            lease: job.lease,
            kind: job.kind.clone(),
            canceled: canceled.clone(),
            stop,
            progress,
        });
        // Declared dead meanwhile, in doubt, or draining: it was taken, but it will not be started.
        if self.worker != Some(worker) || !self.sure || shutdown.has_begun() {
            let _ = outbox.ended.send((token, Some(Ended::Released)));
            return;
        }
        let registry = Arc::clone(&self.registry);
        let (settings, clock) = (Arc::clone(&self.settings), Arc::clone(&self.clock));
        let ended_to = outbox.ended.clone();
        shutdown.spawn(async move {
            let ended = match registry.get(&job.kind) {
                Some(entry) => {
                    let limits = Limits::from(&settings.jobs);
                    let attempt =
                        Attempt { entry, job: &job, canceled, progress: report, limits, clock: clock.as_ref() };
                    tokio::select! {
                        biased;
                        how = stopped_how(stopped) => (how == Stop::GiveBack).then_some(Ended::Released),
                        ended = execute(attempt) => Some(ended),
                    }
                }
                // Claimed from the store by a race with a changed configuration: not ours to judge.
                None => Some(Ended::Released),
            };
            let _ = ended_to.send((token, ended));
        });
    }

    fn on_ended(&mut self, token: Uuid, ended: Option<Ended>, outbox: &Outbox) {
        let lease_done = self.running.ending(&token);
        let Some(run) = self.running.get(&token) else { return };
        match ended {
            Some(ended) => {
                let finish = Finish { fence: run.fence, worker: run.worker, ended, lease_done };
                // The lane outlives the pipeline.
                let _ = outbox.finish.send(finish);
            }
            None => self.forget(&token),
        }
    }

    fn forget(&mut self, token: &Uuid) {
        if let Some(run) = self.running.remove(token) {
            self.slots.free(&run.kind, 1);
        }
    }

    fn on_pulse(&mut self, pulse: Option<Pulse>, shutdown: &Shutdown) {
        match pulse {
            Some(Pulse::Registered(worker)) => {
                tracing::info!(worker.id = %worker, worker.name = %self.settings.worker.name, "worker is registered");
                self.worker = Some(worker);
                self.sure = true;
            }
            Some(Pulse::Cancel(jobs)) => jobs.iter().for_each(|job| {
                self.running.cancel(job);
            }),
            Some(Pulse::Unsure) => {
                self.sure = false;
                self.running.stop_all(Stop::GiveBack);
            }
            Some(Pulse::Sure) => self.sure = true,
            Some(Pulse::Lost) => {
                tracing::warn!(
                    worker.running = self.running.len(),
                    "this worker was declared dead and its jobs run elsewhere: starting anew"
                );
                self.worker = None;
                self.sure = false;
                self.stray_checks.clear();
                self.running.stop_all(Stop::Abandon);
            }
            None => {
                tracing::error!("the heartbeat has stopped: stopping this worker");
                self.running.stop_all(Stop::GiveBack);
                shutdown.begin();
            }
        }
    }

    /// Records progress, lets go of messages that wait too long, looks for what a failed claim took.
    fn housekeep(&mut self, outbox: &Outbox, shutdown: &Shutdown) {
        let now = self.clock.monotonic();
        self.parked.retain(|parked| now.saturating_duration_since(parked.since) < PARKED);

        let reports = self.running.new_progress();
        if !reports.is_empty() {
            let (attempts, wakeups) = (Arc::clone(&self.store.attempts), Arc::clone(&self.broker.wakeups));
            shutdown.spawn(async move {
                match attempts.report_progress(&reports).await {
                    Ok(changes) => wakeups.announce(Signal::Changed(changes)),
                    // The next report makes up for it.
                    Err(error) => tracing::debug!(error = %Chain(&error), "progress was not recorded"),
                }
            });
        }

        if let Some(worker) =
            self.worker.filter(|_| self.stray_checks.iter().any(|at| *at <= now) && !self.checking_strays)
        {
            self.stray_checks.retain(|at| *at > now);
            self.checking_strays = true;
            self.check_strays(worker, outbox, shutdown);
        }
    }

    /// Gives back what a claim took whose answer was lost: nobody runs it, and this worker lives, so nobody would.
    fn check_strays(&self, worker: WorkerId, outbox: &Outbox, shutdown: &Shutdown) {
        let (mut keep, held) = self.running.held_by(worker);
        keep.extend(&self.claiming);
        let (attempts, done) = (Arc::clone(&self.store.attempts), outbox.strays_checked.clone());
        shutdown.spawn(async move {
            let checked = attempts.drop_stray_leases(worker, &keep, &held).await;
            match &checked {
                Ok(back) if back.is_empty() => {}
                Ok(back) => tracing::info!(jobs = back.len(), "gave back jobs of a claim whose answer was lost"),
                Err(error) => tracing::debug!(error = %Chain(error), "could not look for stray claims"),
            }
            let _ = done.send(checked.is_ok());
        });
    }

    fn on_strays_checked(&mut self, done: bool) {
        self.checking_strays = false;
        if !done {
            self.stray_checks.push(self.clock.monotonic() + PROGRESS);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn stopped_how(mut stopped: watch::Receiver<Stop>) -> Stop {
    match stopped.wait_for(|stop| *stop != Stop::No).await {
        Ok(stop) => *stop,
        // The pipeline went away without a word: so does the attempt.
        Err(_) => Stop::Abandon,
    }
}
