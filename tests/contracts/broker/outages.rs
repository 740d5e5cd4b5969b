//! A broker that is away, blocks, or does not answer: nobody waits longer than configured, and all of it recovers by
//! itself.

use std::time::Duration;

use raincheck_shared::broker::{Broker, BrokerError, Link, Signal};
use raincheck_shared::config::BrokerSettings;
use raincheck_shared::domain::Dispatch;
use raincheck_shared::lifecycle::{Clock, SystemClock};
use tokio::io::AsyncReadExt;

use super::wakeups::hears;
use crate::harness::broker::{Bench, becomes, dispatches, next, queue, rabbitmq_settings, soon, up};
use crate::harness::room;
use crate::harness::services::{PrivateServer, Server};
use crate::harness::temp::TempFolder;

fn bench_of(node: &PrivateServer, publish_timeout: Duration) -> Bench {
    Bench::open(BrokerSettings::Rabbitmq(raincheck_shared::config::RabbitmqSettings {
        publish_timeout,
        ..rabbitmq_settings(&node.url)
    }))
}

/// Publishes until it works, as the relay would.
async fn publish_at_last(broker: &Broker, batch: &[Dispatch]) {
    let published = async {
        loop {
            up(broker.publisher.link()).await;
            if broker.publisher.publish(batch).await.iter().all(Result::is_ok) {
                return;
            }
        }
    };
    soon("a publish that works", published).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_to_nobody_fails_at_once() {
    let _room = room::shared().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://guest:guest@{}/%2f", nobody.local_addr().unwrap());
    drop(nobody);
    let bench = Bench::rabbitmq_at(&url);
    let started = SystemClock.monotonic();
    let answers = bench.broker.publisher.publish(&dispatches(&queue("a"), 3)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(BrokerError::Unavailable(_)))), "{answers:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "it waited {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_for_tls_and_says_nothing_is_given_up_in_time_and_asked_again() {
    let _room = room::shared().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bench = Bench::open(BrokerSettings::Rabbitmq(raincheck_shared::config::RabbitmqSettings {
        connect_timeout: Duration::from_millis(300),
        ..rabbitmq_settings(&format!("amqps://guest:guest@{}/%2f", silent.local_addr().unwrap()))
    }));
    let link = bench.broker.publisher.link();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(soon("a connection", silent.accept()).await.unwrap().0);
    }
    assert_eq!(*link.borrow(), Link::Down);
    // Given up means closed, too.
    let mut said = Vec::new();
    soon("the end of the first", held[0].read_to_end(&mut said)).await.unwrap();
    assert_eq!(said.first(), Some(&22), "a handshake of TLS: {said:?}");
    assert!(!String::from_utf8_lossy(&said).contains("AMQP"), "{said:?}");
    let error = soon("a check", bench.broker.publisher.check(&[])).await.expect_err("nobody there");
    assert!(error.to_string().ends_with("it did not answer within the connect timeout"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_killed_or_restarted_is_found_again() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-rabbitmq");
    let node = PrivateServer::start(Server::Rabbitmq, folder.path());
    let a = queue("a");
    bench_of(&node, Duration::from_secs(20))
        .run(async |bench| {
            let mut deliveries = bench.consume(std::slice::from_ref(&a), 8).await;
            let other = bench.another_process();
            hears(&bench.broker, &other).await;
            bench.publish(&dispatches(&a, 1)).await;
            next(&mut deliveries).await.receipt.ack();
            // RabbitMQ 3.10 writes down which log belongs to a new queue only seconds later. A node that is killed before
            // has a queue without a leader, and answers nobody who asks for it.
            tokio::time::sleep(Duration::from_secs(5)).await;
            for (fall, data_is_lost) in [("kill", false), ("stop", true)] {
                let sent = dispatches(&a, 2);
                bench.publish(&sent).await;
                // One taken and not settled, one perhaps on its way: neither is lost with the connection.
                let held = next(&mut deliveries).await;
                let mut hints = bench.broker.wakeups.subscribe();
                node.act(fall);
                becomes(bench.broker.publisher.link(), Link::Down).await;
                becomes(deliveries.link(), Link::Down).await;
                held.receipt.ack();
                if data_is_lost {
                    node.act("wipe");
                }
                node.act("resume");
                soon("a hint that hints were missed", async { while hints.recv().await != Ok(Signal::Missed) {} })
                    .await;
                hears(&bench.broker, &other).await;
                up(deliveries.link()).await;
                let late = dispatches(&a, 1);
                publish_at_last(&bench.broker, &late).await;
                let expected: Vec<_> = if data_is_lost { late } else { [sent, late].concat() };
                let mut missing: Vec<_> = expected.iter().map(|dispatch| dispatch.id).collect();
                while !missing.is_empty() {
                    let delivery = next(&mut deliveries).await;
                    missing.retain(|id| *id != delivery.dispatch.id);
                    delivery.receipt.ack();
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_publisher_fails_in_time_while_consumers_go_on_and_recovers() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-rabbitmq");
    let node = PrivateServer::start(Server::Rabbitmq, folder.path());
    let a = queue("a");
    let timeout = Duration::from_secs(3);
    bench_of(&node, timeout)
        .run(async |bench| {
            let mut deliveries = bench.consume(std::slice::from_ref(&a), 2).await;
            let before = dispatches(&a, 5);
            bench.publish(&before).await;
            node.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
            let started = SystemClock.monotonic();
            let refused =
                async { while bench.broker.publisher.publish(&dispatches(&a, 10)).await.iter().all(Result::is_ok) {} };
            soon("a publish that is refused", refused).await;
            becomes(bench.broker.publisher.link(), Link::Down).await;
            assert!(started.elapsed() < Duration::from_secs(30), "it took {:?}", started.elapsed());
            let quick = SystemClock.monotonic();
            let answers = bench.broker.publisher.publish(&before).await;
            assert!(answers.iter().all(|answer| matches!(answer, Err(BrokerError::Unavailable(_)))), "{answers:?}");
            assert!(quick.elapsed() < timeout, "a link that is down makes nobody wait");
            for _ in &before {
                next(&mut deliveries).await.receipt.ack();
            }
            node.ctl(&["set_vm_memory_high_watermark", "0.6"]);
            up(bench.broker.publisher.link()).await;
            let after = dispatches(&a, 1);
            publish_at_last(&bench.broker, &after).await;
            loop {
                let delivery = next(&mut deliveries).await;
                delivery.receipt.ack();
                if delivery.dispatch == after[0] {
                    break;
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_frozen_keeps_nobody_waiting_and_is_found_again() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-rabbitmq");
    let node = PrivateServer::start(Server::Rabbitmq, folder.path());
    let a = queue("a");
    let timeout = Duration::from_secs(2);
    bench_of(&node, timeout)
        .run(async |bench| {
            let mut deliveries = bench.consume(std::slice::from_ref(&a), 2).await;
            let before = dispatches(&a, 1);
            bench.publish(&before).await;
            next(&mut deliveries).await.receipt.ack();
            node.act("pause");
            let started = SystemClock.monotonic();
            let answers = bench.broker.publisher.publish(&dispatches(&a, 10)).await;
            assert!(answers.iter().all(|answer| matches!(answer, Err(BrokerError::Unavailable(_)))), "{answers:?}");
            assert!(started.elapsed() < timeout * 3, "it took {:?}", started.elapsed());
            becomes(bench.broker.publisher.link(), Link::Down).await;
            // The consumer has nothing to send: the heartbeat tells it.
            becomes(deliveries.link(), Link::Down).await;
            node.act("continue");
            let after = dispatches(&a, 1);
            publish_at_last(&bench.broker, &after).await;
            loop {
                let delivery = next(&mut deliveries).await;
                delivery.receipt.ack();
                if delivery.dispatch == after[0] {
                    break;
                }
            }
        })
        .await;
}
