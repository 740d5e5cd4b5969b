//! What others may have done to RabbitMQ's queues.

use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use raincheck_shared::broker::{BrokerError, Link};
use raincheck_shared::domain::Band;

use crate::harness::broker::{Bench, amqp, becomes, dispatch, dispatches, next, queue, rabbitmq_settings, soon, up};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_named_and_hurts_no_other() {
    Bench::rabbitmq()
        .run(async |bench| {
            let (a, clash) = (queue("a"), queue("clash"));
            let name = format!("{}.clash.normal", bench.rabbitmq_settings().prefix);
            let channel = amqp(bench.rabbitmq_settings()).await.create_channel().await.unwrap();
            channel
                .queue_declare(name.clone().into(), QueueDeclareOptions::durable(), FieldTable::default())
                .await
                .unwrap();
            up(bench.broker.publisher.link()).await;
            let batch = [dispatch(&clash, Band::Normal, 1), dispatch(&a, Band::Normal, 1)];
            let answers = bench.broker.publisher.publish(&batch).await;
            let Err(BrokerError::QueueMismatch { queue, reason }) = &answers[0] else {
                panic!("{:?} for a queue with other arguments", answers[0])
            };
            assert_eq!(*queue, name);
            assert!(reason.contains("x-queue-type"), "{reason}");
            assert!(answers[1].is_ok(), "{:?} for the other queue", answers[1]);
            let checked = bench.broker.publisher.check(&[a.clone(), clash.clone()]).await;
            assert!(matches!(checked, Err(BrokerError::QueueMismatch { .. })), "{checked:?}");
            // A worker of both is served from the good one, and told that not all of it works.
            let mut deliveries = bench.broker.consumers.consume(&[clash.clone(), a.clone()], 8).await;
            let delivery = next(&mut deliveries).await;
            assert_eq!(delivery.dispatch, batch[1]);
            delivery.receipt.ack();
            assert_eq!(*deliveries.link().borrow(), Link::Down);
            // Once somebody deletes it, all is well without a restart.
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
            up(deliveries.link()).await;
            bench.publish(&batch[..1]).await;
            assert_eq!(next(&mut deliveries).await.dispatch, batch[0]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_set_aside_and_blocks_nothing() {
    Bench::rabbitmq()
        .run(async |bench| {
            let a = queue("a");
            let prefix = &bench.rabbitmq_settings().prefix;
            let mut deliveries = bench.consume(std::slice::from_ref(&a), 1).await;
            let connection = amqp(bench.rabbitmq_settings()).await;
            let channel = connection.create_channel().await.unwrap();
            let name = format!("{prefix}.a.normal");
            for body in [&b"not for you"[..], b"{\"v\":1}", b""] {
                let options = BasicPublishOptions::default();
                let properties = lapin::BasicProperties::default().with_content_type("text/plain".into());
                channel.basic_publish("".into(), name.clone().into(), options, body, properties).await.unwrap();
            }
            let sent = dispatches(&a, 1);
            bench.publish(&sent).await;
            assert_eq!(next(&mut deliveries).await.dispatch, sent[0]);
            let aside = format!("{prefix}.unreadable");
            let mut found = Vec::new();
            soon("three messages set aside", async {
                while found.len() < 3 {
                    // The queue is declared when the first message is set aside.
                    let channel = connection.create_channel().await.unwrap();
                    match channel.basic_get(aside.clone().into(), BasicGetOptions { no_ack: true }).await {
                        Ok(Some(message)) => found.push(message.delivery),
                        Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            })
            .await;
            let first = found.iter().find(|message| message.data == b"not for you").expect("the first one");
            let headers = format!("{:?}", first.properties.headers());
            assert!(headers.contains("x-raincheck-queue") && headers.contains("x-raincheck-reason"), "{headers}");
            assert_eq!(
                first.properties.content_type().as_ref().map(ToString::to_string),
                Some("text/plain".to_owned())
            );
            bench.ready(&a, 0).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_a_deleted_queue_are_returned_and_the_next_ones_arrive() {
    Bench::rabbitmq()
        .run(async |bench| {
            let (a, b) = (queue("a"), queue("b"));
            bench.publish(&[dispatches(&a, 1), dispatches(&b, 1)].concat()).await;
            let name = format!("{}.a.normal", bench.rabbitmq_settings().prefix);
            let channel = amqp(bench.rabbitmq_settings()).await.create_channel().await.unwrap();
            channel.queue_delete(name.clone().into(), QueueDeleteOptions::default()).await.unwrap();
            // Mixed, so that a returned message and a confirm of another can be taken for one another.
            let batch: Vec<_> = (0..200).map(|n| dispatch(if n % 3 == 0 { &a } else { &b }, Band::Normal, 1)).collect();
            let answers = bench.broker.publisher.publish(&batch).await;
            for (sent, answer) in batch.iter().zip(&answers) {
                match answer {
                    Ok(()) => assert_eq!(sent.queue, b),
                    Err(BrokerError::Returned(queue)) => assert_eq!((queue, &sent.queue), (&name, &a)),
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(answers.iter().any(Result::is_err), "none was returned");
            bench.publish(&dispatches(&a, 1)).await;
            bench.ready(&a, 1).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_outlives_its_queue() {
    Bench::rabbitmq()
        .run(async |bench| {
            let a = queue("a");
            let mut deliveries = bench.consume(std::slice::from_ref(&a), 8).await;
            let channel = amqp(bench.rabbitmq_settings()).await.create_channel().await.unwrap();
            let name = format!("{}.a.normal", bench.rabbitmq_settings().prefix);
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
            becomes(deliveries.link(), Link::Down).await;
            up(deliveries.link()).await;
            let sent = dispatches(&a, 1);
            bench.publish(&sent).await;
            assert_eq!(next(&mut deliveries).await.dispatch, sent[0]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_which_server_answers() {
    Bench::rabbitmq()
        .run(async |bench| {
            let server = bench.broker.publisher.check(&[queue("a")]).await.expect("all well");
            assert!(server.starts_with("RabbitMQ "), "{server}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_nothing_says_why() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let mut settings = rabbitmq_settings(&format!("amqp://guest:pa55@{address}/%2f"));
    let check = async |settings: &raincheck_shared::config::RabbitmqSettings| {
        let shutdown = raincheck_shared::lifecycle::Shutdown::new();
        let broker = raincheck_shared::broker::rabbitmq::open(settings, "test", &shutdown);
        let error = broker.publisher.check(&[queue("a")]).await.expect_err("nobody is there");
        format!("{:?}", raincheck_shared::telemetry::Chain(&error))
    };
    let said = check(&settings).await;
    assert!(said.contains("refused"), "{said}");
    settings.url = raincheck_shared::config::Secret::new(format!("amqps://guest:pa55@{address}/%2f"));
    let said = check(&settings).await;
    assert!(said.contains("refused") && !said.contains("pa55"), "{said}");
}
