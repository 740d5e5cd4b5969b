//! Queues as such: what waits, who works, what is paused.

use std::time::Duration;

use raincheck_shared::domain::{Band, EndsByOutcome, NewJob, QueueReport, WorkerReport};

use super::against_each_store;
use super::given::{DAY, HOUR, accepted, job, queue, scheduled_job, worker_with};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_ledger_tells_what_waits_and_who_works,
    a_pause_is_told_with_each_renewal_until_it_is_over,
    what_waits_to_be_published_is_told_after_seconds_and_until_it_is,
}

async fn a_ledger_tells_what_waits_and_who_works(on: &StoreFixture) {
    let wide = || NewJob { dispatch_width: 2, ..job() };
    let here: Vec<NewJob> = (0..3).map(|_| wide()).collect();
    let there = NewJob { queue: queue("other"), ..job() };
    accepted(on, here.into_iter().chain([there, scheduled_job(HOUR)]).collect()).await;
    let (id, mut life) = worker_with(on, HOUR).await;
    let ledger = on.store.queues.find_ledger().await.expect("a ledger");
    let mut waiting: Vec<_> = ledger.waiting.iter().map(|w| (w.queue.to_string(), w.jobs)).collect();
    waiting.sort();
    assert_eq!(waiting, [("default".to_owned(), 3), ("other".to_owned(), 1)]);
    assert!(ledger.waiting.iter().all(|w| w.oldest < Duration::from_mins(1)));
    assert_eq!(ledger.paused, []);
    // It has not said anything yet.
    assert_eq!((ledger.workers.len(), &ledger.workers[0].report), (1, &WorkerReport::default()));

    let of_queue =
        QueueReport { queue: "default".to_owned(), running: 2, ends_per_second: 0.5, run_seconds: Some(1.25) };
    let ends = EndsByOutcome { succeeded: 7, fenced: 1, ..EndsByOutcome::default() };
    let report = WorkerReport { slots: 8, awaits_upstream: false, queues: vec![of_queue], ends };
    life.renew(&report).await.expect("renew");
    // One whose lease has run out does not count, though nobody has buried it yet.
    let (silent, _life) = worker_with(on, Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let workers = on.store.queues.find_ledger().await.expect("a ledger").workers;
    assert_eq!(workers.len(), 1, "{silent}");
    assert_eq!((workers[0].id, workers[0].name.as_str(), &workers[0].report), (id, "contract", &report));
    assert!(!workers[0].is_remote);
    assert!(workers[0].silent_for < Duration::from_mins(1));
}

async fn a_pause_is_told_with_each_renewal_until_it_is_over(on: &StoreFixture) {
    let (_, mut life) = worker_with(on, HOUR).await;
    let report = WorkerReport::default();
    assert_eq!(life.renew(&report).await.expect("renew").paused, []);
    on.store.queues.pause_queue(&queue("b")).await.expect("pause");
    on.store.queues.pause_queue(&queue("a")).await.expect("pause");
    let since = on.store.queues.find_ledger().await.expect("a ledger").paused;
    on.store.queues.pause_queue(&queue("b")).await.expect("a second time");
    let paused = on.store.queues.find_ledger().await.expect("a ledger").paused;
    assert_eq!(paused, since, "it stays paused since when it is");
    assert_eq!(paused.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), [queue("a"), queue("b")]);
    assert_eq!(life.renew(&report).await.expect("renew").paused, [queue("a"), queue("b")]);
    on.store.queues.resume_queue(&queue("b")).await.expect("resume");
    on.store.queues.resume_queue(&queue("never")).await.expect("one that is open");
    assert_eq!(life.renew(&report).await.expect("renew").paused, [queue("a")]);
    // Who comes later is told as well.
    let (_, mut later) = worker_with(on, HOUR).await;
    assert_eq!(later.renew(&report).await.expect("renew").paused, [queue("a")]);
}

async fn what_waits_to_be_published_is_told_after_seconds_and_until_it_is(on: &StoreFixture) {
    let (_worker, mut life) = worker_with(on, DAY).await;
    let mut unpublished = async || life.renew(&WorkerReport::default()).await.expect("renew").unpublished;
    assert!(!unpublished().await, "nothing waits");
    let dispatches = accepted(on, vec![job(), NewJob { queue: queue("other"), ..job() }]).await;
    assert!(!unpublished().await, "somebody is about to");
    on.age(Duration::from_secs(4)).await;
    assert!(unpublished().await);
    let ids: Vec<_> = dispatches.iter().map(|dispatch| dispatch.id).collect();
    on.store.outbox.mark_published(&ids[..1]).await.expect("mark");
    assert!(unpublished().await, "of the other one");
    on.store.outbox.mark_published(&ids).await.expect("mark");
    assert!(!unpublished().await);
    let again = on.store.outbox.take_lost(&job().queue, Band::Normal, Duration::ZERO, 10, &[]).await.expect("take");
    assert_eq!(again.len(), 1, "taken for lost, and published once more");
    assert!(!unpublished().await, "as old as it is");
}
