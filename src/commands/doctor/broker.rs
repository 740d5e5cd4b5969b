//! Can the broker be reached, and are its queues what raincheck would make them?

use raincheck_shared::backends::open_broker;
use raincheck_shared::broker::{BrokerError, Link};
use raincheck_shared::config::{BrokerSettings, Settings, StoreSettings};
use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::telemetry::Chain;
use tokio::time::timeout;

use super::{Findings, PATIENCE};

pub(super) async fn check(settings: &Settings, shutdown: &Shutdown, findings: &mut Findings) {
    let BrokerSettings::Rabbitmq(rabbitmq) = &settings.broker else {
        if matches!(settings.store, StoreSettings::Postgres { .. }) {
            findings.doubt(
                "The broker is in-process, although the store is PostgreSQL",
                "right for `raincheck up`; for `raincheck api` and `raincheck worker` set `broker.url = \"amqp://…\"`",
            );
        } else {
            findings.good("The broker is in-process");
        }
        return;
    };
    let advice = "check that RabbitMQ runs, and `broker.url`: host, port, user, password, virtual host. Without it jobs \
                  still run, a little later";
    let broker = open_broker(&settings.broker, "doctor", shutdown);
    let mut link = broker.publisher.link();
    // The connection is made behind the broker; to ask before it is there would only find it missing.
    let connected = timeout(rabbitmq.connect_timeout.min(PATIENCE), link.wait_for(|link| *link == Link::Up)).await;
    let asked = timeout(PATIENCE, broker.publisher.check(&settings.queues())).await;
    match (connected, asked) {
        (_, Ok(Ok(server))) => findings.good(format!("The broker answers: {server}; its queues are as they should be")),
        (_, Ok(Err(error @ BrokerError::QueueMismatch { .. }))) => {
            findings.bad(error.to_string(), "do one of the two; jobs are not lost with a queue");
        }
        (_, Ok(Err(error @ BrokerError::TakesNothing(_)))) => findings.bad(
            error.to_string(),
            "look for an alarm (`rabbitmq-diagnostics alarms`), and whether most of its nodes run. Jobs still run, a little later",
        ),
        (_, Ok(Err(error @ BrokerError::Refused(_)))) => findings.bad(
            format!("{}: {}", rabbitmq.url, Chain(&error)),
            "check user, password and virtual host in `broker.url`, and that the user may configure, write and read there \
             (`rabbitmqctl set_permissions`). Jobs still run, a little later",
        ),
        (_, Ok(Err(error))) => findings.bad(format!("{}: {}", rabbitmq.url, Chain(&error)), advice),
        (_, Err(_)) => findings.bad(format!("{} does not answer", rabbitmq.url), advice),
    }
}
