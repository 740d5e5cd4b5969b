//! Brokers to test: the one of embedded mode, and RabbitMQ under a prefix of the test's own.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use raincheck_shared::backends::open_broker;
use raincheck_shared::broker::{Broker, Deliveries, Delivery, Link};
use raincheck_shared::config::{BrokerSettings, RabbitmqSettings, Secret};
use raincheck_shared::domain::{Band, Dispatch, JobId, QueueName};
use raincheck_shared::lifecycle::{IdSource, Shutdown};
use tokio::sync::watch;

const URL: &str = "RAINCHECK_TEST_AMQP_URL";
/// Far longer than anything takes on a machine that works.
const PATIENCE: Duration = Duration::from_mins(1);

/// A broker, and what to clean up behind it.
pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) settings: BrokerSettings,
    shutdown: Shutdown,
}

impl Bench {
    pub(crate) fn in_process() -> Self {
        Self::open(BrokerSettings::InProcess)
    }

    pub(crate) fn rabbitmq() -> Self {
        let url = std::env::var(URL).unwrap_or_else(|_| panic!("{URL} is not set: run the tests with scripts/test"));
        Self::rabbitmq_at(&url)
    }

    pub(crate) fn rabbitmq_at(url: &str) -> Self {
        Self::open(BrokerSettings::Rabbitmq(rabbitmq_settings(url)))
    }

    pub(crate) fn open(settings: BrokerSettings) -> Self {
        let shutdown = Shutdown::new();
        Self { broker: open_broker(&settings, "test", &shutdown), settings, shutdown }
    }

    /// What another process sees: of RabbitMQ another set of connections, of the in-process broker the same.
    pub(crate) fn another_process(&self) -> Broker {
        match &self.settings {
            BrokerSettings::InProcess => self.broker.clone(),
            BrokerSettings::Rabbitmq(_) => open_broker(&self.settings, "other", &self.shutdown),
        }
    }

    pub(crate) fn rabbitmq_settings(&self) -> &RabbitmqSettings {
        match &self.settings {
            BrokerSettings::Rabbitmq(settings) => settings,
            BrokerSettings::InProcess => panic!("not RabbitMQ"),
        }
    }

    /// Runs a test, then closes the broker and deletes what it made, whatever became of the test.
    pub(crate) async fn run(self, test: impl AsyncFnOnce(&Self)) {
        let outcome = AssertUnwindSafe(test(&self)).catch_unwind().await;
        let Self { broker, settings, shutdown } = self;
        let ended = shutdown.finish(PATIENCE).await;
        drop(broker);
        if let BrokerSettings::Rabbitmq(settings) = settings {
            delete_queues(&settings).await;
        }
        match outcome {
            Ok(()) => assert!(ended, "a task of the broker did not end with the shutdown"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    pub(crate) async fn publish(&self, dispatches: &[Dispatch]) {
        up(self.broker.publisher.link()).await;
        for answer in self.broker.publisher.publish(dispatches).await {
            answer.expect("published");
        }
    }

    pub(crate) async fn consume(&self, queues: &[QueueName], prefetch: u16) -> Box<dyn Deliveries> {
        let deliveries = self.broker.consumers.consume(queues, prefetch).await;
        up(deliveries.link()).await;
        deliveries
    }

    /// Waits until so many messages wait in the queue's normal band.
    pub(crate) async fn ready(&self, queue: &QueueName, count: u64) {
        up(self.broker.publisher.link()).await;
        let mut seen = None;
        let ready = async {
            while seen != Some(count) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                seen = Some(self.broker.publisher.ready_messages(queue, Band::Normal).await.expect("counted"));
            }
        };
        assert!(tokio::time::timeout(PATIENCE, ready).await.is_ok(), "{seen:?} messages are ready, not {count}");
    }
}

pub(crate) fn rabbitmq_settings(url: &str) -> RabbitmqSettings {
    RabbitmqSettings {
        url: Secret::new(url),
        ca_file: None,
        prefix: format!("test-{}", IdSource.random()),
        publish_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(10),
        heartbeat: Duration::from_secs(5),
        max_backoff: Duration::from_millis(500),
    }
}

/// A lapin connection of the test's own.
pub(crate) async fn amqp(settings: &RabbitmqSettings) -> lapin::Connection {
    lapin::Connection::connect(settings.url.expose(), lapin::ConnectionProperties::default()).await.expect("connected")
}

async fn delete_queues(settings: &RabbitmqSettings) {
    let connection = amqp(settings).await;
    let channel = connection.create_channel().await.expect("a channel");
    let places =
        ["a", "b", "clash"].into_iter().flat_map(|queue| Band::ALL.map(|band| format!("{queue}.{}", band.as_str())));
    for name in places.chain(["unreadable".to_owned()]) {
        let name = format!("{}.{name}", settings.prefix);
        channel.queue_delete(name.into(), lapin::options::QueueDeleteOptions::default()).await.expect("deleted");
    }
    let exchange = format!("{}.wakeups", settings.prefix);
    channel.exchange_delete(exchange.into(), lapin::options::ExchangeDeleteOptions::default()).await.expect("deleted");
    connection.close(200, "OK".into()).await.expect("closed");
}

/// One of the queues that are cleaned up: `a`, `b`, `clash`.
pub(crate) fn queue(name: &str) -> QueueName {
    name.parse().expect("a name")
}

/// A dispatch of so many jobs.
pub(crate) fn dispatch(queue: &QueueName, band: Band, jobs: usize) -> Dispatch {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    Dispatch {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        queue: queue.clone(),
        band,
        kind: "test.kind".parse().expect("a name"),
        jobs: (0..jobs).map(|_| IdSource.job()).collect::<Vec<JobId>>(),
    }
}

/// So many dispatches of one job in the normal band.
pub(crate) fn dispatches(queue: &QueueName, count: usize) -> Vec<Dispatch> {
    (0..count).map(|_| dispatch(queue, Band::Normal, 1)).collect()
}

/// What comes of it, which must be soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

pub(crate) async fn up(link: watch::Receiver<Link>) {
    becomes(link, Link::Up).await;
}

pub(crate) async fn becomes(mut link: watch::Receiver<Link>, wanted: Link) {
    soon("the link", link.wait_for(|link| *link == wanted)).await.expect("a supervisor");
}

pub(crate) async fn next(deliveries: &mut Box<dyn Deliveries>) -> Delivery {
    soon("a message", deliveries.next()).await.expect("a message")
}

/// Nothing arrives, as far as a moment can tell.
pub(crate) async fn nothing_arrives(deliveries: &mut Box<dyn Deliveries>) {
    let arrived = tokio::time::timeout(Duration::from_millis(300), deliveries.next()).await;
    assert!(arrived.is_err(), "{arrived:?} arrived");
}
