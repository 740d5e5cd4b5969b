//! Wake-ups over a fan-out exchange. Each process listens on a queue of its own, which dies with its connection and drops
//! its oldest messages when nobody empties it: hints may be lost, and whoever waits is told to read again.
//!
//! A hint reaches this process's own subscribers at once, broker or not; its echo is ignored.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Consumer, ExchangeKind};
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use super::backoff::Backoff;
use super::bulletin::{Ear, Pile};
use super::connection::SupervisedConnection;
use super::refusal::{declare_refusal, refusal};
use super::session::Session;
use super::topology::{Names, short};
use crate::broker::wakeups::HEARD_AT_MOST;
use crate::broker::{BrokerError, Signal, Wakeups};
use crate::config::RabbitmqSettings;
use crate::lifecycle::{IdSource, Shutdown};
use crate::telemetry::Chain;

/// Hints that may wait to be sent.
const WAITING_AT_MOST: usize = 4_096;
/// Messages that the broker keeps for a process that does not listen.
const KEPT_AT_MOST: i32 = 10_000;

/// What kind of exchange carries wake-ups.
pub(super) fn exchange_kind() -> ExchangeKind {
    ExchangeKind::Fanout
}

/// Wake-ups over a connection of their own, made when somebody first speaks or listens.
pub(super) struct FanoutWakeups {
    settings: RabbitmqSettings,
    exchange: String,
    role: &'static str,
    shutdown: Shutdown,
    local: broadcast::Sender<Signal>,
    outbound: OnceLock<mpsc::Sender<Signal>>,
    /// A hint was dropped since the last message.
    dropped: Arc<AtomicBool>,
    /// The broker has refused to tell any, and has not told any since.
    refused: Arc<AtomicBool>,
}

impl FanoutWakeups {
    pub(super) fn new(settings: RabbitmqSettings, names: &Names, role: &'static str, shutdown: Shutdown) -> Self {
        Self {
            settings,
            exchange: names.wakeups(),
            role,
            shutdown,
            local: broadcast::Sender::new(HEARD_AT_MOST),
            outbound: OnceLock::new(),
            dropped: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Starts speaking and listening, the first time.
    fn outbound(&self) -> &mpsc::Sender<Signal> {
        self.outbound.get_or_init(|| {
            let name = format!("raincheck {} wake-ups", self.role);
            let connection = Arc::new(SupervisedConnection::start(self.settings.clone(), name, &self.shutdown));
            let own = IdSource.random();
            let (sender, waiting) = mpsc::channel(WAITING_AT_MOST);
            let listener = Listener {
                connection: Arc::clone(&connection),
                exchange: self.exchange.clone(),
                own,
                local: self.local.clone(),
                refused: Arc::clone(&self.refused),
                answer_timeout: self.settings.publish_timeout,
                longest_pause: self.settings.max_backoff,
            };
            let speaker = Speaker {
                connection,
                exchange: self.exchange.clone(),
                own,
                dropped: Arc::clone(&self.dropped),
                timeout: self.settings.publish_timeout,
            };
            // The listener needs no end of its own: it is dropped when the speaker has nobody to speak for.
            self.shutdown.spawn_foundation(async move {
                tokio::select! {
                    () = speaker.run(waiting) => {}
                    () = listener.run() => {}
                }
            });
            sender
        })
    }
}

impl Wakeups for FanoutWakeups {
    fn announce(&self, signal: Signal) {
        if self.outbound().try_send(signal.clone()).is_err() {
            self.dropped.store(true, Ordering::Relaxed);
        }
        // Nobody listens here: nobody misses it.
        let _ = self.local.send(signal);
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        let subscriber = self.local.subscribe();
        self.outbound();
        subscriber
    }

    fn are_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

struct Speaker {
    connection: Arc<SupervisedConnection>,
    exchange: String,
    own: Uuid,
    dropped: Arc<AtomicBool>,
    timeout: Duration,
}

impl Speaker {
    /// Sends what has piled up while the last message was sent, until nobody can announce anything any more.
    async fn run(self, mut waiting: mpsc::Receiver<Signal>) {
        let mut number = 0_u64;
        while let Some(first) = waiting.recv().await {
            let mut pile = Pile::default();
            pile.add(first);
            while !pile.is_full()
                && let Ok(next) = waiting.try_recv()
            {
                pile.add(next);
            }
            // A number left out tells the listeners that something is missing, and so does a message that never comes.
            number += if self.dropped.swap(false, Ordering::Relaxed) { 2 } else { 1 };
            if let (Some(session), Some(body)) = (self.connection.session_if_up(), pile.encode(self.own, number)) {
                self.send(&session, &body).await;
            }
        }
    }

    async fn send(&self, session: &Session, body: &[u8]) {
        let mut link = self.connection.link();
        let sent = tokio::select! {
            sent = tokio::time::timeout(self.timeout, self.publish(session, body)) => sent,
            _ = link.wait_for(|link| *link == crate::broker::Link::Down) => Ok(Ok(())),
        };
        match sent {
            Ok(Ok(())) => {}
            // The exchange is declared by the listener, which may not be there yet.
            Ok(Err(error)) => tracing::debug!(error = %Chain(&error), "a wake-up was not sent"),
            Err(_) => session.fail("a wake-up could not be written in time"),
        }
    }

    async fn publish(&self, session: &Session, body: &[u8]) -> Result<(), BrokerError> {
        let channel = session.plain_channel().await?;
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_content_type("application/json".into());
        channel.basic_publish(short(&self.exchange)?, "".into(), options, body, properties).await.map_err(refusal)?;
        Ok(())
    }
}

struct Listener {
    connection: Arc<SupervisedConnection>,
    exchange: String,
    own: Uuid,
    local: broadcast::Sender<Signal>,
    refused: Arc<AtomicBool>,
    answer_timeout: Duration,
    longest_pause: Duration,
}

impl Listener {
    async fn run(self) {
        let mut backoff = Backoff::up_to(self.longest_pause);
        let mut said_failed = false;
        while let Some(session) = self.connection.session().await {
            match self.listen(&session).await {
                Ok(()) => {
                    backoff.reset();
                    said_failed = false;
                }
                Err(error @ (BrokerError::Unavailable(_) | BrokerError::Unreachable(_))) => {
                    tracing::debug!(error = %Chain(&error), "hears no wake-ups, will try again");
                }
                Err(error) => {
                    self.refused.store(true, Ordering::Relaxed);
                    // Said once for each row of failures.
                    if !std::mem::replace(&mut said_failed, true) {
                        tracing::error!(exchange = self.exchange, error = %Chain(&error), "cannot hear wake-ups, will try again");
                    }
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Passes on what is heard until the connection or the queue is gone.
    async fn listen(&self, session: &Session) -> Result<(), BrokerError> {
        let mut lost = pin!(session.lost());
        let mut consumer = tokio::select! {
            () = &mut lost => return Ok(()),
            subscribed = tokio::time::timeout(self.answer_timeout, listen_to(&self.exchange, session)) => {
                subscribed.unwrap_or(Err(BrokerError::Unavailable("the broker did not answer in time")))?
            }
        };
        self.refused.store(false, Ordering::Relaxed);
        // Whatever was said before, nobody here heard it.
        self.tell(Signal::Missed);
        let mut ear = Ear::default();
        loop {
            tokio::select! {
                () = &mut lost => return Ok(()),
                message = consumer.next() => match message {
                    Some(Ok(message)) => ear.hear(&message.data, self.own).into_iter().for_each(|signal| self.tell(signal)),
                    Some(Err(_)) | None => return Ok(()),
                },
            }
        }
    }

    fn tell(&self, signal: Signal) {
        // Nobody listens here: nobody misses it.
        let _ = self.local.send(signal);
    }
}

/// Hears what comes to the exchange, over a queue that nobody else has and that goes with the connection.
pub(super) async fn listen_to(exchange: &str, session: &Session) -> Result<Consumer, BrokerError> {
    let channel = session.channel().await?;
    channel
        .exchange_declare(short(exchange)?, exchange_kind(), ExchangeDeclareOptions::default(), FieldTable::default())
        .await
        .map_err(|error| declare_refusal(exchange, error))?;
    let mut bounds = FieldTable::default();
    bounds.insert("x-max-length".into(), AMQPValue::LongInt(KEPT_AT_MOST));
    bounds.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
    let options = QueueDeclareOptions::exclusive().auto_delete();
    let queue = channel.queue_declare("".into(), options, bounds).await.map_err(refusal)?;
    let queue = queue.name().clone();
    channel
        .queue_bind(queue.clone(), short(exchange)?, "".into(), QueueBindOptions::default(), FieldTable::default())
        .await
        .map_err(refusal)?;
    let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
    channel.basic_consume(queue, "".into(), options, FieldTable::default()).await.map_err(refusal)
}
