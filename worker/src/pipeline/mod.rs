//! A job's way through a worker: message → claim → attempt → finish.
//!
//! One task owns all state and never waits for the store: claims, attempts and finishes are tasks of their own that
//! report back. So a slow statement delays its own jobs and nothing else.

mod housekeeping;
mod intake;
mod patience;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::{Broker, Deliveries, Delivery, Link, Signal};
use raincheck_shared::config::{BrokerSettings, Settings};
use raincheck_shared::domain::{JobId, KindName, LeaseId, QueueName, WorkerId};
use raincheck_shared::lifecycle::{Clock, IdSource, Shutdown};
use raincheck_shared::store::{Finish, HandOver, Store};
use tokio::sync::{broadcast, mpsc, watch};
use uuid::Uuid;

use crate::claimer::Claimed;
use crate::counters::Counters;
use crate::executor::Ran;
use crate::finisher::{Finisher, Leaving};
use crate::heartbeat::{Heartbeat, Pulse};
use crate::registry::Registry;
use crate::running::{Running, Stop};
use crate::slots::Slots;
use crate::tally::Tally;
use crate::worker::{Parts, subscribed};

/// How long handlers may take to stop when the drain time is over.
const STOPPING: Duration = Duration::from_secs(2);
/// How long a broker that took nothing for seconds counts as one that takes nothing: claims from the store leave nothing there by
/// which to tell whether it does again.
const STUCK: Duration = Duration::from_mins(1);
/// How often handlers' progress is recorded.
const PROGRESS: Duration = Duration::from_secs(1);
struct Parked {
    delivery: Delivery,
    since: Instant,
}

pub(crate) struct Pipeline {
    settings: Arc<Settings>,
    store: Store,
    blobs: Blobs,
    broker: Broker,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    tally: Arc<Tally>,
    queues: Vec<QueueName>,
    /// Queues of which nothing new is started.
    paused: Vec<QueueName>,
    /// Until when the broker counts as one that takes nothing, whatever the link to it looks like.
    broker_stuck_until: Option<Instant>,
    ids: IdSource,
    slots: Slots,
    parked: Vec<Parked>,
    /// When the last claim began, if it was a large one and left room for another.
    flood: Option<Instant>,
    running: Running,
    /// Who claims; `None` before registration and after a loss.
    worker: Option<WorkerId>,
    /// Whether its lease was renewed lately: nothing is claimed while that is in doubt.
    sure: bool,
    claiming: HashSet<LeaseId>,
    /// Ends that are on their way to the store.
    finishing: usize,
    stray_checks: Vec<Instant>,
    /// No claim may start meanwhile: the check would take it for a stray.
    checking_strays: bool,
    unknown_kinds: HashSet<KindName>,
}

/// The ends of the channels on which the pipeline hears.
struct Inbox {
    claimed: mpsc::UnboundedReceiver<Claimed>,
    ended: mpsc::UnboundedReceiver<(Uuid, Option<Ran>)>,
    finished: mpsc::UnboundedReceiver<Vec<Uuid>>,
    strays_checked: mpsc::UnboundedReceiver<bool>,
    signals: broadcast::Receiver<Signal>,
    link: watch::Receiver<Link>,
}

/// The ends on which others report, and where ends of attempts go.
#[derive(Clone)]
struct Outbox {
    claimed: mpsc::UnboundedSender<Claimed>,
    ended: mpsc::UnboundedSender<(Uuid, Option<Ran>)>,
    finish: mpsc::UnboundedSender<Leaving>,
    strays_checked: mpsc::UnboundedSender<bool>,
}

impl Pipeline {
    pub(crate) fn new(parts: Parts, counters: Arc<Counters>, tally: Arc<Tally>) -> Self {
        let Parts { settings, store, blobs, broker, registry, clock } = parts;
        let queues = subscribed(&settings);
        let kinds = registry.entries().map(|entry| (entry.kind.name.clone(), entry.kind.concurrency));
        let slots = Slots::new(settings.worker.concurrency, kinds);
        Self {
            settings,
            store,
            blobs,
            broker,
            registry: Arc::new(registry),
            clock,
            counters,
            tally,
            queues,
            paused: Vec::new(),
            broker_stuck_until: None,
            ids: IdSource,
            slots,
            parked: Vec::new(),
            flood: None,
            running: Running::default(),
            worker: None,
            sure: false,
            claiming: HashSet::new(),
            finishing: 0,
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
            remote_leases: Arc::clone(&self.store.remote_leases),
            wakeups: Arc::clone(&self.broker.wakeups),
            counters: Arc::clone(&self.counters),
            tally: Arc::clone(&self.tally),
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
        // A frozen worker's connection stands for a while after its death, and the broker goes on to hand it messages.
        let mut heir_until: Option<Instant> = None;
        let mut fallback = tokio::time::interval(self.settings.worker.fallback_poll);
        fallback.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut progress = tokio::time::interval(PROGRESS);
        progress.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if draining && self.is_empty() {
                break;
            }
            let broker_down = *inbox.link.borrow_and_update() == Link::Down;
            let is_heir = heir_until.is_some_and(|until| self.clock.monotonic() < until);
            let look = broker_down || self.broker_is_stuck() || is_heir || self.is_blocked();
            let patience_ends = self.patience().ends(self.clock.monotonic());
            let housekeeping = !self.running.is_empty() || !self.parked.is_empty() || !self.stray_checks.is_empty();
            tokio::select! {
                () = shutdown.begun(), if !draining => {
                    draining = true;
                    drain_ends = Some(self.clock.monotonic() + self.settings.worker.drain_timeout);
                    self.parked.clear();
                    self.running.give_back_waiting(|_| true);
                    deliveries.stop().await;
                    tracing::info!(worker.running = self.running.len(), "draining: taking nothing more");
                }
                () = sleep_until(drain_ends), if draining => {
                    drain_ends = self.drain_further(&mut asked_to_stop);
                }
                pulse = heartbeat.pulses.recv() => match pulse {
                    Some(Pulse::Paused(queues)) => self.pause(queues, &mut *deliveries),
                    pulse => self.on_pulse(pulse, &shutdown),
                },
                delivery = deliveries.next(), if !draining && self.may_claim() => match delivery {
                    Some(delivery) => self.park(delivery),
                    None => shutdown.begin(),
                },
                Some(claimed) = inbox.claimed.recv() => self.on_claimed(claimed, &outbox, &shutdown),
                Some((token, ended)) = inbox.ended.recv() => {
                    self.on_ended(token, ended, &outbox);
                    // Whatever else has ended, in one turn.
                    while let Ok((token, ended)) = inbox.ended.try_recv() {
                        self.on_ended(token, ended, &outbox);
                    }
                }
                Some(tokens) = inbox.finished.recv() => {
                    self.finishing = self.finishing.saturating_sub(tokens.len());
                    for token in &tokens {
                        self.forget(token);
                    }
                }
                // Looks at what waits once more.
                () = sleep_until(patience_ends) => {}
                signal = inbox.signals.recv() => match signal {
                    Ok(Signal::CancelRequested(jobs)) => self.cancel(&jobs),
                    Ok(Signal::WorkerDied) => heir_until = Some(self.clock.monotonic() + self.stale_connection()),
                    _ => {}
                },
                Some(done) = inbox.strays_checked.recv() => self.on_strays_checked(done),
                _ = inbox.link.changed() => {}
                _ = fallback.tick(), if look && !draining => self.claim_from_store(&outbox, &shutdown),
                _ = progress.tick(), if housekeeping => self.housekeep(&outbox, &shutdown),
            }
            self.start_waiting();
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

    /// How long the broker may take at most to notice that nobody is at the other end of a connection.
    fn stale_connection(&self) -> Duration {
        match &self.settings.broker {
            BrokerSettings::Rabbitmq(broker) => 3 * broker.heartbeat,
            // In one process nobody dies alone.
            BrokerSettings::InProcess => Duration::ZERO,
        }
    }

    /// Whether the broker took nothing lately.
    fn broker_is_stuck(&mut self) -> bool {
        let until = self.broker_stuck_until;
        if until.is_some_and(|until| until <= self.clock.monotonic()) {
            tracing::info!("no job has waited for the broker for a minute: claiming again what it delivers");
            self.broker_stuck_until = None;
        }
        self.broker_stuck_until.is_some()
    }

    fn cancel(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.running.cancel(job);
        }
    }

    fn is_empty(&self) -> bool {
        self.running.is_empty() && self.claiming.is_empty()
    }

    fn on_ended(&mut self, token: Uuid, ran: Option<Ran>, outbox: &Outbox) {
        let lease_done = self.running.ending(&token);
        let Some(run) = self.running.get(&token) else { return };
        let (fence, worker) = (run.fence, run.worker);
        let leaving = match ran {
            Some(Ran::Ended(ended)) => Leaving::Ended(Finish { fence, worker, ended, lease_done }),
            Some(Ran::HandedOver) => Leaving::HandedOver(HandOver { fence, worker, to: self.ids.worker(), lease_done }),
            None => return self.forget(&token),
        };
        self.finishing += 1;
        // The lane outlives the pipeline.
        let _ = outbox.finish.send(leaving);
    }

    fn forget(&mut self, token: &Uuid) {
        if let Some(run) = self.running.remove(token) {
            self.slots.free(&run.kind, 1);
            if let Some(started) = run.started {
                self.slots.stop(&run.kind);
                self.tally.ended(&run.queue, self.clock.monotonic().saturating_duration_since(started));
            }
        }
    }

    fn on_pulse(&mut self, pulse: Option<Pulse>, shutdown: &Shutdown) {
        match pulse {
            Some(Pulse::Registered(worker)) => {
                tracing::info!(worker.id = %worker, worker.name = %self.settings.worker.name, "worker is registered");
                self.worker = Some(worker);
                self.sure = true;
            }
            Some(Pulse::Cancel(jobs)) => self.cancel(&jobs),
            Some(Pulse::Unpublished) => {
                if self.broker_stuck_until.is_none() {
                    tracing::warn!("jobs wait for the broker to take messages: claiming them from the store");
                }
                self.broker_stuck_until = Some(self.clock.monotonic() + STUCK);
            }
            Some(Pulse::Unsure) => {
                self.sure = false;
                self.running.stop_all(Stop::GiveBack);
            }
            Some(Pulse::Sure) => self.sure = true,
            // Heard where the deliveries are.
            Some(Pulse::Paused(_)) => {}
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
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
