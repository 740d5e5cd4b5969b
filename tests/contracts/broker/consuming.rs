//! Messages from the relay to the workers.

use std::collections::HashSet;

use raincheck_shared::broker::Link;
use raincheck_shared::domain::{Band, DispatchId};

use super::for_both_brokers;
use crate::harness::broker::{Bench, dispatch, dispatches, next, nothing_arrives, queue};

for_both_brokers!(
    a_dispatch_arrives_as_it_was_published,
    an_acknowledged_message_is_gone,
    acknowledgements_go_out_although_nobody_asks_for_more,
    a_dropped_or_returned_message_goes_to_another_consumer,
    a_low_message_arrives_while_high_ones_keep_coming,
    all_queues_of_a_consumer_are_heard,
    no_more_than_the_prefetch_is_unsettled,
    stopping_gives_back_what_was_not_taken,
    receipts_still_work_after_a_stop,
    two_consumers_share_the_messages,
    a_paused_queue_delivers_nothing_until_it_is_resumed,
    a_worker_that_asks_for_nothing_holds_nothing_back,
    ready_messages_are_counted_per_queue_and_band,
);

async fn a_dispatch_arrives_as_it_was_published(bench: &Bench) {
    let a = queue("a");
    let mut deliveries = bench.consume(std::slice::from_ref(&a), 8).await;
    for (band, jobs) in [(Band::High, 1), (Band::Normal, 3), (Band::Low, 64)] {
        let sent = dispatch(&a, band, jobs);
        bench.publish(std::slice::from_ref(&sent)).await;
        let received = next(&mut deliveries).await;
        assert_eq!(received.dispatch, sent);
        received.receipt.ack();
    }
}

async fn an_acknowledged_message_is_gone(bench: &Bench) {
    let a = queue("a");
    let mut first = bench.consume(std::slice::from_ref(&a), 8).await;
    bench.publish(&dispatches(&a, 1)).await;
    next(&mut first).await.receipt.ack();
    first.stop().await;
    drop(first);
    let mut second = bench.consume(std::slice::from_ref(&a), 8).await;
    nothing_arrives(&mut second).await;
    bench.ready(&a, 0).await;
}

/// A broker that hands over no more than so many at once sees the acknowledgement of one before it hands over the next.
async fn acknowledgements_go_out_although_nobody_asks_for_more(bench: &Bench) {
    let a = queue("a");
    // The share of the normal band is 32.
    let mut deliveries = bench.consume(std::slice::from_ref(&a), 64).await;
    bench.publish(&dispatches(&a, 33)).await;
    let mut held = Vec::new();
    for _ in 0..32 {
        held.push(next(&mut deliveries).await);
    }
    held.remove(0).receipt.ack();
    next(&mut deliveries).await.receipt.ack();
    for delivery in held {
        delivery.receipt.ack();
    }
}

async fn a_dropped_or_returned_message_goes_to_another_consumer(bench: &Bench) {
    let a = queue("a");
    let mut first = bench.consume(std::slice::from_ref(&a), 8).await;
    let sent = dispatches(&a, 2);
    bench.publish(&sent).await;
    let dropped = next(&mut first).await;
    let returned = next(&mut first).await;
    // It takes no more itself.
    first.stop().await;
    let mut second = bench.consume(std::slice::from_ref(&a), 8).await;
    drop(dropped);
    returned.receipt.give_back();
    let mut again: Vec<DispatchId> = Vec::new();
    for _ in 0..2 {
        let received = next(&mut second).await;
        again.push(received.dispatch.id);
        received.receipt.ack();
    }
    again.sort_unstable();
    assert_eq!(again, [sent[0].id, sent[1].id]);
}

async fn a_low_message_arrives_while_high_ones_keep_coming(bench: &Bench) {
    let a = queue("a");
    let high = || dispatch(&a, Band::High, 1);
    bench.publish(&(0..100).map(|_| high()).collect::<Vec<_>>()).await;
    bench.publish(&[dispatch(&a, Band::Low, 1)]).await;
    let mut deliveries = bench.consume(std::slice::from_ref(&a), 8).await;
    for _ in 0..400 {
        let received = next(&mut deliveries).await;
        received.receipt.ack();
        if received.dispatch.band == Band::Low {
            return;
        }
        bench.publish(&[high()]).await;
    }
    panic!("the low band is starved");
}

async fn all_queues_of_a_consumer_are_heard(bench: &Bench) {
    let (a, b) = (queue("a"), queue("b"));
    let mut deliveries = bench.consume(&[a.clone(), b.clone()], 8).await;
    bench.publish(&[dispatches(&a, 5), dispatches(&b, 5)].concat()).await;
    let mut from_b = 0;
    for _ in 0..10 {
        let received = next(&mut deliveries).await;
        from_b += usize::from(received.dispatch.queue == b);
        received.receipt.ack();
    }
    assert_eq!(from_b, 5);
}

async fn no_more_than_the_prefetch_is_unsettled(bench: &Bench) {
    let a = queue("a");
    let sent: Vec<_> = (0..10).flat_map(|_| Band::ALL.map(|band| dispatch(&a, band, 1))).collect();
    bench.publish(&sent).await;
    let mut deliveries = bench.consume(std::slice::from_ref(&a), 4).await;
    let mut unsettled = Vec::new();
    for _ in 0..4 {
        unsettled.push(next(&mut deliveries).await);
    }
    nothing_arrives(&mut deliveries).await;
    unsettled.pop().expect("four").receipt.ack();
    unsettled.push(next(&mut deliveries).await);
    nothing_arrives(&mut deliveries).await;
}

async fn stopping_gives_back_what_was_not_taken(bench: &Bench) {
    let a = queue("a");
    let mut first = bench.consume(std::slice::from_ref(&a), 8).await;
    bench.publish(&dispatches(&a, 10)).await;
    next(&mut first).await.receipt.ack();
    first.stop().await;
    assert!(first.next().await.is_none(), "a stopped stream has ended");
    bench.ready(&a, 9).await;
}

async fn receipts_still_work_after_a_stop(bench: &Bench) {
    let a = queue("a");
    let mut first = bench.consume(std::slice::from_ref(&a), 8).await;
    bench.publish(&dispatches(&a, 2)).await;
    let acknowledged = next(&mut first).await;
    let returned = next(&mut first).await;
    first.stop().await;
    drop(first);
    bench.ready(&a, 0).await;
    acknowledged.receipt.ack();
    returned.receipt.give_back();
    bench.ready(&a, 1).await;
}

async fn two_consumers_share_the_messages(bench: &Bench) {
    let a = queue("a");
    let sent = dispatches(&a, 20);
    bench.publish(&sent).await;
    let other = bench.another_process();
    let mut one = bench.consume(std::slice::from_ref(&a), 4).await;
    let mut two = other.consumers.consume(std::slice::from_ref(&a), 4).await;
    let mut received: HashSet<DispatchId> = HashSet::new();
    // Neither can have all of them while it holds the first.
    let (held_by_one, held_by_two) = (next(&mut one).await, next(&mut two).await);
    assert_ne!(held_by_one.dispatch.id, held_by_two.dispatch.id);
    for held in [held_by_one, held_by_two] {
        received.insert(held.dispatch.id);
        held.receipt.ack();
    }
    while received.len() < sent.len() {
        let delivery = tokio::select! {
            delivery = next(&mut one) => delivery,
            delivery = next(&mut two) => delivery,
        };
        assert!(received.insert(delivery.dispatch.id), "delivered twice");
        delivery.receipt.ack();
    }
}

async fn a_worker_that_asks_for_nothing_holds_nothing_back(bench: &Bench) {
    let a = queue("a");
    let sent = dispatches(&a, 12);
    bench.publish(&sent).await;
    let mut busy = bench.consume(std::slice::from_ref(&a), 8).await;
    let running = next(&mut busy).await;
    running.receipt.ack();
    // It never asks again, so another worker gets all the others.
    let mut idle = bench.consume(std::slice::from_ref(&a), 8).await;
    let mut received = HashSet::from([running.dispatch.id]);
    while received.len() < sent.len() {
        let delivery = next(&mut idle).await;
        received.insert(delivery.dispatch.id);
        delivery.receipt.ack();
    }
    // When it asks again, it is served again.
    idle.stop().await;
    let late = dispatches(&a, 1);
    bench.publish(&late).await;
    assert_eq!(next(&mut busy).await.dispatch, late[0]);
}

async fn ready_messages_are_counted_per_queue_and_band(bench: &Bench) {
    let (a, b) = (queue("a"), queue("b"));
    bench.ready(&a, 0).await;
    bench.publish(&[dispatches(&a, 3), vec![dispatch(&a, Band::High, 1)], dispatches(&b, 2)].concat()).await;
    bench.ready(&a, 3).await;
    bench.ready(&b, 2).await;
    assert_eq!(bench.broker.publisher.ready_messages(&a, Band::High).await.expect("counted"), 1);
    assert_eq!(bench.broker.publisher.ready_messages(&a, Band::Low).await.expect("counted"), 0);
    // A message that somebody has is not ready.
    let mut deliveries = bench.consume(std::slice::from_ref(&b), 8).await;
    let _held = next(&mut deliveries).await;
    let _too = next(&mut deliveries).await;
    bench.ready(&b, 0).await;
}

async fn a_paused_queue_delivers_nothing_until_it_is_resumed(bench: &Bench) {
    let (a, b) = (queue("a"), queue("b"));
    let mut deliveries = bench.consume(&[a.clone(), b.clone()], 8).await;
    bench.publish(&dispatches(&a, 3)).await;
    let held = next(&mut deliveries).await;
    deliveries.pause(std::slice::from_ref(&a));
    // What was received and not handed out goes back; what was handed out is its receiver's.
    bench.ready(&a, 2).await;
    held.receipt.give_back();
    bench.ready(&a, 3).await;
    nothing_arrives(&mut deliveries).await;
    assert_eq!(*deliveries.link().borrow(), Link::Up, "the store has nothing to deliver in its place");
    bench.publish(&dispatches(&b, 1)).await;
    let other = next(&mut deliveries).await;
    assert_eq!(other.dispatch.queue, b);
    other.receipt.ack();
    deliveries.pause(&[]);
    for _ in 0..3 {
        let received = next(&mut deliveries).await;
        assert_eq!(received.dispatch.queue, a);
        received.receipt.ack();
    }
    bench.ready(&a, 0).await;
}
