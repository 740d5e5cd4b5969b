//! One queue and band, consumed for one worker: subscribed again after whatever ended it, and unsubscribed while the
//! worker has no use for messages, so that none waits here while another worker is idle.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::connection::SupervisedConnection;
use super::inbox::{Arrived, Inbox};
use super::receipt::{Origin, Unsettled};
use super::refusal::refusal;
use super::session::Session;
use super::topology::short;
use super::unreadable::Unreadable;
use crate::broker::{BrokerError, Envelope};
use crate::domain::{Band, QueueName};
use crate::telemetry::Chain;

/// How long a message may lie in the inbox of a worker that asks for none.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why a pump stopped.
enum Ended {
    /// Nobody wants messages any more.
    Stopped,
    /// The worker did not ask for a while: it had asked so often when the subscription was given up.
    Idle(u64),
    /// Its queue is paused.
    Paused,
    /// The connection, the channel or the queue is gone.
    Lost,
}

/// One of a worker's subscriptions.
pub(super) struct Subscription {
    pub(super) number: usize,
    /// The queue as raincheck names it, and those that are paused.
    pub(super) name: QueueName,
    pub(super) paused: watch::Receiver<HashSet<QueueName>>,
    /// The queue as the broker names it.
    pub(super) queue: String,
    pub(super) band: Band,
    pub(super) prefetch: u16,
    pub(super) inbox: Arc<Inbox>,
    pub(super) connection: Arc<SupervisedConnection>,
    pub(super) unreadable: mpsc::UnboundedSender<Unreadable>,
    pub(super) stop: CancellationToken,
    /// How long the broker may take to answer a request.
    pub(super) answer_timeout: Duration,
    pub(super) longest_pause: Duration,
}

impl Subscription {
    /// Runs until told to stop.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::up_to(self.longest_pause);
        let mut said_failed = false;
        while let Some(Some(session)) = self.stop.run_until_cancelled(self.connection.session()).await {
            match self.serve(&session, &mut backoff, &mut said_failed).await {
                Ok(()) => return,
                Err(error @ (BrokerError::Unavailable(_) | BrokerError::Unreachable(_))) => {
                    tracing::debug!(queue = self.queue, error = %Chain(&error), "not subscribed, will try again");
                }
                // Said once for each row of failures.
                Err(error) if !std::mem::replace(&mut said_failed, true) => {
                    tracing::error!(queue = self.queue, error = %Chain(&error), "cannot consume from a queue, will try again");
                }
                Err(_) => {}
            }
            let _ = self.stop.run_until_cancelled(tokio::time::sleep(backoff.pause())).await;
        }
    }

    /// Consumes over one connection. `Ok`: told to stop.
    async fn serve(&self, session: &Session, backoff: &mut Backoff, said_failed: &mut bool) -> Result<(), BrokerError> {
        let channel = self.answered(session, "a channel was not opened in time", session.channel()).await?;
        self.answered(session, "a prefetch was not set in time", async {
            // Since it goes before the consumer, it is the consumer's own limit.
            channel.basic_qos(self.prefetch, BasicQosOptions { global: false }).await.map_err(refusal)
        })
        .await?;
        let origin = Origin::new(channel, Arc::clone(&self.connection), self.prefetch);
        loop {
            if self.is_paused() {
                // In order all the same: what waits there is not to be found in another way either.
                let _in_order = self.inbox.subscribed();
                tokio::select! {
                    () = self.stop.cancelled() => return Ok(()),
                    () = session.lost() => return Err(BrokerError::Unavailable("the connection was lost")),
                    () = self.pause_turns(false) => {}
                }
            }
            let mut consumer = self
                .answered(session, "a subscription was not made in time", self.subscribe(session, origin.channel()))
                .await?;
            backoff.reset();
            *said_failed = false;
            let _in_order = self.inbox.subscribed();
            match self.pump(session, &mut consumer, &origin).await {
                Ended::Stopped => {
                    self.unsubscribe(session, origin.channel(), consumer).await?;
                    return Ok(());
                }
                Ended::Idle(asked) => {
                    self.unsubscribe(session, origin.channel(), consumer).await?;
                    tokio::select! {
                        () = self.stop.cancelled() => return Ok(()),
                        () = session.lost() => return Err(BrokerError::Unavailable("the connection was lost")),
                        () = self.inbox.asked_after(asked) => {}
                    }
                }
                Ended::Paused => self.unsubscribe(session, origin.channel(), consumer).await?,
                Ended::Lost => {
                    // The queue may have been deleted: it is declared again.
                    session.declarations.forget(&self.queue);
                    return Err(BrokerError::Unavailable("the subscription ended"));
                }
            }
        }
    }

    fn is_paused(&self) -> bool {
        self.paused.borrow().contains(&self.name)
    }

    /// Resolves once the queue is paused, or is not. Never, when nobody is left to say so: then the stream ends too.
    async fn pause_turns(&self, to: bool) {
        let turned = self.paused.clone().wait_for(|paused| paused.contains(&self.name) == to).await.is_ok();
        if !turned {
            std::future::pending::<()>().await;
        }
    }

    async fn subscribe(&self, session: &Session, channel: &Channel) -> Result<Consumer, BrokerError> {
        session.declarations.declare(session, &self.queue).await?;
        let options = BasicConsumeOptions::default();
        channel.basic_consume(short(&self.queue)?, "".into(), options, FieldTable::default()).await.map_err(refusal)
    }

    /// Moves messages into the inbox.
    async fn pump(&self, session: &Session, consumer: &mut Consumer, origin: &Arc<Origin>) -> Ended {
        let mut look = tokio::time::interval(PATIENCE);
        let mut asked = None;
        let mut lost = pin!(session.lost());
        let mut paused = pin!(self.pause_turns(true));
        let company = origin.keep_company();
        let mut seen_to = pin!(company.see_to_it());
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ended::Stopped,
                () = &mut lost => return Ended::Lost,
                () = &mut paused => return Ended::Paused,
                never = &mut seen_to => match never {},
                message = consumer.next() => match message {
                    Some(Ok(message)) => self.receive(message, origin),
                    Some(Err(_)) | None => return Ended::Lost,
                },
                _ = look.tick() => {
                    let now_asked = self.inbox.asked();
                    let idle = asked.replace(now_asked) == Some(now_asked);
                    if idle && self.inbox.holds_any_of(self.number, self.band) {
                        return Ended::Idle(now_asked);
                    }
                }
            }
        }
    }

    fn receive(&self, message: Delivery, origin: &Arc<Origin>) {
        let receipt = Unsettled::new(&message, Arc::clone(origin));
        match Envelope::decode(&message.data) {
            Ok(Envelope(dispatch)) => {
                self.inbox.put(self.band, Arrived { subscription: self.number, dispatch, receipt });
            }
            Err(error) => {
                // Its receiver outlives every subscription; were it gone, the message would go back to its queue.
                let _ = self.unreadable.send(Unreadable {
                    queue: self.queue.clone(),
                    reason: error.to_string(),
                    body: message.data,
                    content_type: message.properties.content_type().as_ref().map(ToString::to_string),
                    receipt,
                });
            }
        }
    }

    /// Takes no more, and gives back what nobody has taken.
    async fn unsubscribe(
        &self,
        session: &Session,
        channel: &Channel,
        mut consumer: Consumer,
    ) -> Result<(), BrokerError> {
        let unsubscribed = async {
            channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.map_err(refusal)?;
            // What was on its way while the cancel was; the stream ends behind it. A dropped message is given back.
            while let Some(Ok(message)) = consumer.next().await {
                let on_its_way = Origin::new(channel.clone(), Arc::clone(&self.connection), self.prefetch);
                drop(Unsettled::new(&message, on_its_way));
            }
            Ok(())
        };
        let unsubscribed = self.answered(session, "a subscription was not ended in time", unsubscribed).await;
        self.inbox.clear(self.number);
        unsubscribed
    }

    async fn answered<T>(
        &self,
        session: &Session,
        late: &'static str,
        request: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        tokio::select! {
            answer = tokio::time::timeout(self.answer_timeout, request) => {
                answer.unwrap_or(Err(BrokerError::Unavailable(late)))
            }
            () = session.lost() => Err(BrokerError::Unavailable("the connection was lost")),
        }
    }
}
