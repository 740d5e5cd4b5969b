//! Shows that this worker lives, from a thread and a connection that handlers cannot starve.
//!
//! The thread goes through *incarnations*: it registers one, renews its lease, and when it learns that it was declared
//! dead (stopped for too long, cut off for too long) says so and starts the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raincheck_shared::config::WorkerSettings;
use raincheck_shared::domain::{JobId, QueueName, WorkerId};
use raincheck_shared::lifecycle::{Clock, IdSource};
use raincheck_shared::store::{Lease, LeaseError, Leases, Renewal};
use raincheck_shared::telemetry::Chain;
use tokio::sync::{mpsc, oneshot};

use crate::tally::Tally;

/// What the thread has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// A new incarnation may claim.
    Registered(WorkerId),
    /// Handlers of these jobs are to be canceled.
    Cancel(Vec<JobId>),
    /// Of these queues, and no others, nothing new is to be started. Said before the first registration and whenever it
    /// changes.
    Paused(Vec<QueueName>),
    /// Something has waited for seconds to be given to the broker. Said with each renewal, as long as that is so.
    Unpublished,
    /// The lease will end before it can be renewed: stop every handler now.
    Unsure,
    /// It was renewed after all.
    Sure,
    /// This incarnation was declared dead: its jobs are somebody else's.
    Lost,
}

/// The thread's other end.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(crate) pulses: mpsc::UnboundedReceiver<Pulse>,
    end: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl Heartbeat {
    /// Starts the thread.
    pub(crate) fn start(
        leases: Arc<dyn Leases>,
        settings: WorkerSettings,
        clock: Arc<dyn Clock>,
        ids: IdSource,
        tally: Arc<Tally>,
    ) -> std::io::Result<Self> {
        let (say, pulses) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("heartbeat".to_owned()).spawn(move || {
            let beat = Beat { leases, settings, clock, ids, tally, say, paused: None };
            runtime.block_on(beat.run(ended));
        })?;
        Ok(Self { pulses, end: Some(end) })
    }

    /// Ends the incarnation in the store, once nothing of it runs; waits a moment for that. Left out, it ends by itself
    /// when its lease or its session lock does.
    pub(crate) async fn end(&mut self) {
        let Some(end) = self.end.take() else { return };
        let (done, is_done) = oneshot::channel();
        if end.send(done).is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(3), is_done).await;
        }
    }
}

/// The thread's own state.
struct Beat {
    leases: Arc<dyn Leases>,
    settings: WorkerSettings,
    clock: Arc<dyn Clock>,
    ids: IdSource,
    tally: Arc<Tally>,
    /// Which queues are paused, as it was told last.
    paused: Option<Vec<QueueName>>,
    /// The same of what waits to be published.
    say: mpsc::UnboundedSender<Pulse>,
}

type Ended = oneshot::Receiver<oneshot::Sender<()>>;

/// Why an incarnation is no longer kept.
enum Over {
    Lost,
    Ended(Option<oneshot::Sender<()>>),
}

impl Beat {
    async fn run(mut self, mut ended: Ended) {
        loop {
            let over = match self.register(&mut ended).await {
                Ok(mut lease) => match self.keep(lease.as_mut(), &mut ended).await {
                    Over::Ended(done) => {
                        // A store that is away cannot be told; the lease then ends by itself.
                        let _ = tokio::time::timeout(Duration::from_secs(2), lease.end()).await;
                        Over::Ended(done)
                    }
                    lost @ Over::Lost => lost,
                },
                Err(over) => over,
            };
            match over {
                Over::Lost => self.tell(Pulse::Lost),
                Over::Ended(done) => {
                    let _ = done.map(|done| done.send(()));
                    return;
                }
            }
        }
    }

    /// Registers a new incarnation, however long the store takes to answer.
    async fn register(&mut self, ended: &mut Ended) -> Result<Box<dyn Lease>, Over> {
        let mut failed = false;
        loop {
            let worker = self.ids.worker();
            let registered = tokio::select! {
                biased;
                asked = &mut *ended => return Err(Over::Ended(asked.ok())),
                registered = self.first_renewal(worker) => registered,
            };
            match registered {
                Ok((lease, renewal)) => {
                    self.tell_paused(renewal.paused);
                    self.tell(Pulse::Registered(worker));
                    return Ok(lease);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failed, true) {
                        tracing::warn!(error = %Chain(&error), "cannot register this worker, will try again");
                    }
                }
            }
            tokio::select! {
                asked = &mut *ended => return Err(Over::Ended(asked.ok())),
                () = tokio::time::sleep(self.settings.heartbeat.mul_f64(0.5 + self.ids.fraction())) => {}
            }
        }
    }

    /// Registers an incarnation and renews it at once, since only a renewal tells which queues are paused.
    async fn first_renewal(&self, worker: WorkerId) -> Result<(Box<dyn Lease>, Renewal), LeaseError> {
        let WorkerSettings { name, lease, session_lock, .. } = &self.settings;
        let mut lease = self.leases.register(worker, name, *lease, *session_lock).await?;
        let renewal = lease.renew(&self.tally.report(self.clock.monotonic())).await?;
        Ok((lease, renewal))
    }

    /// Renews until the incarnation is over.
    async fn keep(&mut self, lease: &mut dyn Lease, ended: &mut Ended) -> Over {
        // A lease counts from before the renewal was sent: the store's clock started no earlier.
        let mut renewed_at = self.clock.monotonic();
        let mut unsure = false;
        let mut wait = self.settings.heartbeat;
        loop {
            tokio::select! {
                biased;
                asked = &mut *ended => return Over::Ended(asked.ok()),
                () = tokio::time::sleep(wait) => {}
            }
            let sent_at = self.clock.monotonic();
            match self.renew(lease, renewed_at, &mut unsure).await {
                Ok(Renewal { orders, paused, unpublished }) => {
                    self.tell_paused(paused);
                    if unpublished {
                        self.tell(Pulse::Unpublished);
                    }
                    renewed_at = sent_at;
                    wait = self.settings.heartbeat;
                    if std::mem::replace(&mut unsure, false) {
                        tracing::info!("the lease was renewed after all, claiming again");
                        self.tell(Pulse::Sure);
                    }
                    if !orders.is_empty() {
                        self.tell(Pulse::Cancel(orders.iter().map(|order| order.job).collect()));
                    }
                }
                Err(LeaseError::Lost) => return Over::Lost,
                Err(LeaseError::Store(error)) => {
                    tracing::debug!(error = %Chain(&error), "heartbeat failed, will try again");
                    wait = self.settings.heartbeat.mul_f64(0.2);
                }
            }
        }
    }

    /// One renewal. However long it takes, the handlers are stopped in time.
    async fn renew(
        &self,
        lease: &mut dyn Lease,
        renewed_at: Instant,
        unsure: &mut bool,
    ) -> Result<Renewal, LeaseError> {
        let age = self.clock.monotonic().saturating_duration_since(renewed_at);
        let left = self.settings.lease.mul_f64(STOP_AT).saturating_sub(age);
        let report = self.tally.report(self.clock.monotonic());
        let renewal = lease.renew(&report);
        tokio::pin!(renewal);
        // After a freeze no time is left: that is said before anything is asked, and does not race with the answer.
        if !*unsure && !left.is_zero() {
            tokio::select! {
                renewed = &mut renewal => return renewed,
                () = tokio::time::sleep(left) => {}
            }
        }
        if !std::mem::replace(unsure, true) {
            tracing::warn!("the lease could not be renewed for most of its time: stopping all handlers");
            self.tell(Pulse::Unsure);
        }
        renewal.await
    }

    fn tell_paused(&mut self, paused: Vec<QueueName>) {
        if self.paused.as_ref() != Some(&paused) {
            self.paused = Some(paused.clone());
            self.tell(Pulse::Paused(paused));
        }
    }

    fn tell(&self, pulse: Pulse) {
        // The pipeline going away means that the process ends.
        let _ = self.say.send(pulse);
    }
}

/// The part of a lease after which a worker that could not renew stops its handlers: the rest is for stopping them.
const STOP_AT: f64 = 2.0 / 3.0;
