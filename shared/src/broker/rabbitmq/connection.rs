//! A connection that is made again, afresh, whenever it is lost.
//!
//! lapin's own recovery stays off: it left confirms hanging for seconds. While the broker blocks a connection (its memory
//! or disk alarm) the link is down and the connection is kept; if a publish was cut short meanwhile, the connection is
//! replaced when the alarm ends, so that nothing half-written is sent late.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::Event;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::backoff::Backoff;
use super::refusal::refusal;
use super::session::Session;
use crate::broker::{BrokerError, Link};
use crate::config::RabbitmqSettings;
use crate::lifecycle::Shutdown;
use crate::telemetry::Chain;

/// How often the state is looked at, in case an event was missed.
const LOOK: Duration = Duration::from_secs(1);

/// A handle on a supervised connection. It is closed when the last one is dropped, or at the end of a shutdown.
pub(super) struct SupervisedConnection {
    session: watch::Receiver<Option<Arc<Session>>>,
    link: watch::Receiver<Link>,
    _in_use: DropGuard,
}

impl SupervisedConnection {
    /// Starts the supervisor, whose first attempt is immediate. `name` is for logs and for the broker's operator.
    pub(super) fn start(settings: RabbitmqSettings, name: String, shutdown: &Shutdown) -> Self {
        let (session_sender, session) = watch::channel(None);
        let (link_sender, link) = watch::channel(Link::Down);
        let unused = CancellationToken::new();
        let supervisor = Supervisor {
            settings,
            name,
            session: session_sender,
            link: link_sender,
            unused: unused.clone(),
            shutdown: shutdown.clone(),
        };
        shutdown.spawn_foundation(supervisor.run());
        Self { session, link, _in_use: unused.drop_guard() }
    }

    /// Whether the broker takes what it is given.
    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// The connection, if the link is up right now.
    pub(super) fn session_if_up(&self) -> Option<Arc<Session>> {
        if *self.link.borrow() == Link::Down {
            return None;
        }
        self.session.borrow().clone()
    }

    /// The connection, as soon as there is one; `None` when there will be none any more.
    pub(super) async fn session(&self) -> Option<Arc<Session>> {
        let mut session = self.session.clone();
        session.wait_for(Option::is_some).await.ok()?.clone()
    }
}

struct Supervisor {
    settings: RabbitmqSettings,
    name: String,
    session: watch::Sender<Option<Arc<Session>>>,
    link: watch::Sender<Link>,
    unused: CancellationToken,
    shutdown: Shutdown,
}

impl Supervisor {
    async fn run(self) {
        let mut backoff = Backoff::up_to(self.settings.max_backoff);
        let mut said_down = false;
        loop {
            let opened = tokio::select! {
                biased;
                () = self.not_needed() => return,
                opened = Session::open(&self.settings, &self.name) => opened,
            };
            let cause = match opened {
                Ok(session) => {
                    tracing::info!(connection = self.name, "connected to the broker");
                    said_down = false;
                    match self.attend(Arc::new(session), &mut backoff).await {
                        Some(cause) => cause,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            // Said once for each outage, not once for each attempt.
            if !std::mem::replace(&mut said_down, true) {
                tracing::warn!(connection = self.name, error = %Chain(&cause), "no connection to the broker, will try again");
            }
            tokio::select! {
                () = self.not_needed() => return,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }

    async fn not_needed(&self) {
        tokio::select! {
            () = self.unused.cancelled() => {}
            () = self.shutdown.deserted() => {}
        }
    }

    /// Offers the connection until it is lost (with the cause) or not needed any more.
    async fn attend(&self, session: Arc<Session>, backoff: &mut Backoff) -> Option<BrokerError> {
        self.session.send_replace(Some(Arc::clone(&session)));
        self.set_link(Link::Up);
        let cause = tokio::select! {
            biased;
            () = self.not_needed() => None,
            cause = self.until_lost(&session, backoff) => Some(cause),
        };
        self.set_link(Link::Down);
        self.session.send_replace(None);
        match cause {
            Some(_) => session.cut(),
            None => session.close().await,
        }
        cause
    }

    async fn until_lost(&self, session: &Session, backoff: &mut Backoff) -> BrokerError {
        let mut events = pin!(session.connection().events_listener());
        let mut look = tokio::time::interval(LOOK);
        // A connection that does not live this long was no success.
        let mut proven = pin!(tokio::time::sleep(self.settings.max_backoff));
        let mut is_proven = false;
        let mut blocked = session.connection().status().blocked();
        if blocked {
            self.set_link(Link::Down);
        }
        loop {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Event::ConnectionBlocked(reason) => {
                        blocked = true;
                        self.set_link(Link::Down);
                        tracing::warn!(connection = self.name, reason, "the broker takes no messages for now");
                    }
                    Event::ConnectionUnblocked => {
                        blocked = false;
                        self.set_link(Link::Up);
                        tracing::info!(connection = self.name, "the broker takes messages again");
                    }
                    // A channel's error comes this way too.
                    Event::Error(error) if !session.connection().status().connected() => return refusal(error),
                    _ => {}
                },
                _ = look.tick() => {
                    if !session.connection().status().connected() {
                        return BrokerError::Unavailable("the connection was closed");
                    }
                }
                cause = session.failed(), if !blocked => return BrokerError::Unavailable(cause),
                () = &mut proven, if !is_proven => {
                    is_proven = true;
                    backoff.reset();
                }
            }
        }
    }

    fn set_link(&self, link: Link) {
        self.link.send_if_modified(|current| std::mem::replace(current, link) != link);
    }
}
