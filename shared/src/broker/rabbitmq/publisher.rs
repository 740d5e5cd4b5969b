//! Publishing: a batch is written whole, then all its confirms are awaited, the publish timeout over all of it.
//!
//! A batch that does not come to its end takes its channel with it: nobody could tell its late confirms and returns from
//! those of the next one. If nothing at all was confirmed, it takes the connection.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use lapin::options::BasicPublishOptions;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{Semaphore, watch};

use super::connection::SupervisedConnection;
use super::refusal::refusal;
use super::server;
use super::session::Session;
use super::topology::{Names, short};
use super::wakeups::listen_to;
use crate::broker::{BrokerError, Envelope, Link, Publisher};
use crate::config::RabbitmqSettings;
use crate::domain::{Band, Dispatch, QueueName};
use crate::lifecycle::Shutdown;
use crate::lifecycle::failpoint::{self, Step};

/// Batches under way at once, each on a channel of its own.
const BATCHES: usize = 8;
const PERSISTENT: u8 = 2;
/// How long a probe may take to be confirmed.
const PROBE: Duration = Duration::from_secs(5);
const LATE: &str = "no confirm within the publish timeout";

/// A message on its way to a queue.
pub(super) struct Outgoing {
    pub(super) queue: String,
    /// Tells it from all others on its channel, for when the broker returns it.
    pub(super) id: String,
    pub(super) body: Vec<u8>,
    pub(super) content_type: String,
    pub(super) headers: FieldTable,
}

/// Publishes over a connection of its own, made when it is first needed: workers never publish.
pub(super) struct QueuePublisher {
    settings: RabbitmqSettings,
    names: Names,
    role: &'static str,
    shutdown: Shutdown,
    connection: OnceLock<SupervisedConnection>,
    batches: Semaphore,
    messages: AtomicU64,
}

impl QueuePublisher {
    pub(super) fn new(settings: RabbitmqSettings, names: Names, role: &'static str, shutdown: Shutdown) -> Self {
        Self {
            settings,
            names,
            role,
            shutdown,
            connection: OnceLock::new(),
            batches: Semaphore::new(BATCHES),
            messages: AtomicU64::new(0),
        }
    }

    fn connection(&self) -> &SupervisedConnection {
        self.connection.get_or_init(|| {
            let name = format!("raincheck {} publish", self.role);
            SupervisedConnection::start(self.settings.clone(), name, &self.shutdown)
        })
    }

    /// An id that no other message of this process has.
    pub(super) fn message_id(&self, of: &dyn std::fmt::Display) -> String {
        format!("{of}-{}", self.messages.fetch_add(1, Ordering::Relaxed))
    }

    /// Publishes messages to queues that raincheck declares, and answers in order.
    pub(super) async fn send(&self, batch: &[Outgoing]) -> Vec<Result<(), BrokerError>> {
        let fail = |error: &BrokerError| batch.iter().map(|_| Err(error.clone())).collect();
        let mut link = self.connection().link();
        let Some(session) = self.connection().session_if_up() else {
            return fail(&BrokerError::Unavailable("not connected, or blocked by an alarm"));
        };
        let mut cut_short = pin!(async {
            tokio::select! {
                () = tokio::time::sleep(self.settings.publish_timeout) => LATE,
                // The sender of the link ends with the supervisor, which is as down as it gets.
                _ = link.wait_for(|link| *link == Link::Down) => "the connection was lost or blocked",
            }
        });
        // The semaphore is never closed.
        let prepared = async { (self.batches.acquire().await, Prepared::over(&session, batch).await) };
        let (_one_of_few, prepared) = tokio::select! {
            biased;
            (permit, prepared) = prepared => (permit, prepared),
            cause = &mut cut_short => {
                session.fail(cause);
                return fail(&BrokerError::Unavailable(cause));
            }
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return fail(&error),
        };
        let (confirmed, cause) = prepared.write(batch, cut_short).await;
        let outcome = Outcome::of(batch, confirmed);
        for queue in &outcome.deleted_queues {
            // The next attempt declares it again.
            session.declarations.forget(queue);
        }
        match cause {
            None if outcome.is_clean => session.reuse_publish_channel(prepared.channel),
            // The channel is dropped, and what may still come over it goes with it.
            None => {}
            // Others are served: one queue is in trouble, not the connection.
            Some(LATE) if outcome.confirmed > 0 => {}
            Some(cause) => session.fail(cause),
        }
        outcome.answers
    }
}

/// What a batch needs before it can be written.
struct Prepared<'a> {
    /// For this batch alone.
    channel: Channel,
    /// Queues that could not be declared, and why.
    refused: HashMap<&'a str, BrokerError>,
}

impl<'a> Prepared<'a> {
    async fn over(session: &Session, batch: &'a [Outgoing]) -> Result<Self, BrokerError> {
        let mut refused = HashMap::new();
        let queues: HashSet<&str> = batch.iter().map(|message| message.queue.as_str()).collect();
        for queue in queues {
            if let Err(error) = session.declarations.declare(session, queue).await {
                refused.insert(queue, error);
            }
        }
        Ok(Self { channel: session.publish_channel().await?, refused })
    }

    /// Writes everything, and waits for the confirms until all are there or it is cut short. Those that are not there are
    /// left out.
    async fn write<C>(
        &self,
        batch: &[Outgoing],
        cut_short: impl Future<Output = C>,
    ) -> (Vec<Option<Result<Confirmation, BrokerError>>>, Option<C>) {
        let confirmed: Vec<OnceLock<_>> = batch.iter().map(|_| OnceLock::new()).collect();
        let cause = {
            let mut all = pin!(join_all(batch.iter().zip(&confirmed).map(|(message, confirmed)| async {
                let answer = match self.refused.get(message.queue.as_str()) {
                    Some(error) => Err(error.clone()),
                    None => write(&self.channel, message).await,
                };
                // Each is set once.
                let _ = confirmed.set(answer);
            })));
            tokio::select! {
                biased;
                _ = &mut all => None,
                cause = cut_short => {
                    // A returned message comes with any confirm that is not later than its own: look at all that are there.
                    let _ = all.now_or_never();
                    Some(cause)
                }
            }
        };
        (confirmed.into_iter().map(OnceLock::into_inner).collect(), cause)
    }
}

/// What became of a batch.
struct Outcome {
    answers: Vec<Result<(), BrokerError>>,
    deleted_queues: HashSet<String>,
    confirmed: usize,
    /// Nothing is outstanding on the channel, and it works.
    is_clean: bool,
}

impl Outcome {
    fn of(batch: &[Outgoing], confirmed: Vec<Option<Result<Confirmation, BrokerError>>>) -> Self {
        let mut outcome = Self { answers: Vec::new(), deleted_queues: HashSet::new(), confirmed: 0, is_clean: true };
        // A returned message comes with the confirm of any message of the batch.
        let mut returned: HashSet<String> = HashSet::new();
        for confirmed in confirmed {
            let answer = match confirmed {
                Some(Ok(confirmation)) => {
                    outcome.confirmed += 1;
                    let answer = match confirmation {
                        Confirmation::Nack(_) => Err(BrokerError::Unavailable("the queue could not keep the message")),
                        Confirmation::Ack(_) | Confirmation::NotRequested => Ok(()),
                    };
                    let message = confirmation.take_message();
                    returned.extend(message.and_then(|m| m.properties.message_id().as_ref().map(ToString::to_string)));
                    answer
                }
                Some(Err(error)) => {
                    outcome.is_clean &= matches!(error, BrokerError::QueueMismatch { .. });
                    Err(error)
                }
                None => {
                    outcome.is_clean = false;
                    Err(BrokerError::Unavailable("no confirm in time"))
                }
            };
            outcome.answers.push(answer);
        }
        for (message, answer) in batch.iter().zip(&mut outcome.answers) {
            if returned.contains(&message.id) {
                outcome.deleted_queues.insert(message.queue.clone());
                *answer = Err(BrokerError::Returned(message.queue.clone()));
            }
        }
        outcome
    }
}

async fn write(channel: &Channel, message: &Outgoing) -> Result<Confirmation, BrokerError> {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(short(&message.content_type)?)
        .with_message_id(short(&message.id)?)
        .with_headers(message.headers.clone());
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let written = channel.basic_publish("".into(), short(&message.queue)?, options, &message.body, properties).await;
    failpoint::passed(Step::Published).await;
    written.map_err(refusal)?.await.map_err(refusal)
}

#[async_trait]
impl Publisher for QueuePublisher {
    async fn publish(&self, batch: &[Dispatch]) -> Vec<Result<(), BrokerError>> {
        let outgoing: Result<Vec<_>, _> = batch
            .iter()
            .map(|dispatch| {
                Envelope(dispatch.clone()).encode().map(|body| Outgoing {
                    queue: self.names.queue(&dispatch.queue, dispatch.band),
                    id: self.message_id(&dispatch.id),
                    body,
                    content_type: Envelope::CONTENT_TYPE.to_owned(),
                    headers: FieldTable::default(),
                })
            })
            .collect();
        match outgoing {
            Ok(outgoing) => self.send(&outgoing).await,
            Err(error) => {
                let error = BrokerError::Refused(Arc::new(error));
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn ready_messages(&self, queue: &QueueName, band: Band) -> Result<u64, BrokerError> {
        let session = self.connection().session_if_up().ok_or(BrokerError::Unavailable("not connected"))?;
        session.declarations.ready_messages(&session, &self.names.queue(queue, band)).await
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.connection().link()
    }

    async fn check(&self, queues: &[QueueName]) -> Result<String, BrokerError> {
        let server = server::identify(&self.settings).await?;
        let session = Session::open(&self.settings, &format!("raincheck {} check", self.role)).await?;
        let checked = self.check_over(&session, queues).await;
        session.close().await;
        checked.map(|()| server)
    }
}

impl QueuePublisher {
    async fn check_over(&self, session: &Session, queues: &[QueueName]) -> Result<(), BrokerError> {
        for queue in queues {
            for band in Band::ALL {
                session.declarations.declare(session, &self.names.queue(queue, band)).await?;
            }
        }
        session.declarations.declare(session, &self.names.unreadable()).await?;
        // Who may not read hears nothing. Wake-ups tell: to take a message from a queue of jobs, if only for a moment, would count
        // as a delivery of it.
        let _heard = listen_to(&self.names.wakeups(), session).await?;
        self.probe(session).await
    }

    /// Whether the broker takes messages. The probe goes to no queue, since nobody can make one of that name, and comes back.
    async fn probe(&self, session: &Session) -> Result<(), BrokerError> {
        let channel = session.publish_channel().await?;
        let probe = Outgoing {
            queue: "amq.raincheck.nowhere".to_owned(),
            id: "probe".to_owned(),
            body: Vec::new(),
            content_type: Envelope::CONTENT_TYPE.to_owned(),
            headers: FieldTable::default(),
        };
        let patience = self.settings.publish_timeout.min(PROBE);
        let twice = async {
            write(&channel, &probe).await?;
            // A connection is blocked by an alarm once it has published: the first message passes.
            write(&channel, &probe).await.map(drop)
        };
        tokio::time::timeout(patience, twice).await.unwrap_or(Err(BrokerError::TakesNothing(patience)))
    }
}
