//! What raincheck has on the broker: a quorum queue for each queue and band, one for what cannot be read, and a fan-out
//! exchange for wake-ups. All of it is declared when first needed, and again over each new connection.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::refusal::{declare_refusal, refusal, says_not_found};
use super::session::Session;
use crate::broker::BrokerError;
use crate::domain::{Band, QueueName};

/// Since 4.0 a quorum queue drops a message on its 20th return. The store owns poison jobs, so the limit is put out of
/// reach; "no limit" cannot be said in a way that 3.10 understands.
const DELIVERY_LIMIT: i32 = 1_000_000;

/// The names of it all, under the configured prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: Arc<str>,
}

impl Names {
    pub(super) fn under(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// `raincheck.default.high`
    pub(super) fn queue(&self, queue: &QueueName, band: Band) -> String {
        format!("{}.{queue}.{}", self.prefix, band.as_str())
    }

    /// Where messages go that nobody can read.
    pub(super) fn unreadable(&self) -> String {
        format!("{}.unreadable", self.prefix)
    }

    /// The exchange of the wake-ups.
    pub(super) fn wakeups(&self) -> String {
        format!("{}.wakeups", self.prefix)
    }
}

/// A name as AMQP wants it: at most 255 bytes.
pub(super) fn short(name: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(name).map_err(|error| BrokerError::Refused(Arc::new(error)))
}

/// What has been declared over one connection, on a channel of its own: a refused declaration closes its channel, and
/// nobody else's traffic may go with it.
pub(super) struct Declarations {
    known: Mutex<HashSet<String>>,
    channel: tokio::sync::Mutex<Option<Channel>>,
    patience: Duration,
}

impl Declarations {
    pub(super) fn new(patience: Duration) -> Self {
        Self { known: Mutex::default(), channel: tokio::sync::Mutex::default(), patience }
    }

    /// Makes sure that the queue exists as it should.
    pub(super) async fn declare(&self, session: &Session, queue: &str) -> Result<(), BrokerError> {
        if self.known().contains(queue) {
            return Ok(());
        }
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
        let name = short(queue)?;
        self.on_channel(session, async |channel| {
            channel.queue_declare(name.clone(), QueueDeclareOptions::durable(), arguments.clone()).await
        })
        .await?
        .map_err(|error| declare_refusal(queue, error))?;
        self.known().insert(queue.to_owned());
        Ok(())
    }

    /// The queue turned out not to exist.
    pub(super) fn forget(&self, queue: &str) {
        self.known().remove(queue);
    }

    /// How many messages are ready in a queue; none in a queue that does not exist.
    pub(super) async fn ready_messages(&self, session: &Session, queue: &str) -> Result<u64, BrokerError> {
        let name = short(queue)?;
        let look = QueueDeclareOptions::default().passive();
        let found = self
            .on_channel(session, async |channel| channel.queue_declare(name.clone(), look, FieldTable::default()).await)
            .await?;
        match found {
            Ok(found) => Ok(u64::from(found.message_count())),
            Err(error) if says_not_found(&error) => Ok(0),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Runs one request on the channel, which survives only a request that went well.
    async fn on_channel<T>(
        &self,
        session: &Session,
        request: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<lapin::Result<T>, BrokerError> {
        let answered = async {
            let mut kept = self.channel.lock().await;
            let channel = match kept.take().filter(|channel| channel.status().connected()) {
                Some(channel) => channel,
                None => session.channel().await?,
            };
            let answer = request(&channel).await;
            if answer.is_ok() {
                *kept = Some(channel);
            }
            Ok(answer)
        };
        tokio::select! {
            answered = tokio::time::timeout(self.patience, answered) => {
                answered.unwrap_or(Err(BrokerError::Unavailable("a declaration was not answered in time")))
            }
            () = session.lost() => Err(BrokerError::Unavailable("the connection was lost")),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_installation_queue_and_band() {
        let names = Names::under("raincheck");
        assert_eq!(names.queue(&"default".parse().unwrap(), Band::High), "raincheck.default.high");
        assert_eq!(names.unreadable(), "raincheck.unreadable");
        assert_eq!(names.wakeups(), "raincheck.wakeups");
    }

    #[test]
    fn a_name_that_is_too_long_for_amqp_is_an_error() {
        assert!(short(&"x".repeat(255)).is_ok());
        assert!(short(&"x".repeat(256)).is_err());
    }
}
