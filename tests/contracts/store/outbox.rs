//! The outbox: what waits is published at least once, and again when it was lost.

use std::time::Duration;

use raincheck_shared::domain::{Band, Dispatch, JobId, NewJob, TenantName};

use super::against_each_store;
use super::batches::batch;
use super::given::{
    HOUR, accepted, claim, finished, fire, job, now, queue, rescue_all, retry, running, scheduled_job, worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    who_accepts_publishes_and_another_takes_over_when_it_falls_silent,
    what_is_taken_is_held_and_comes_back_after_the_hold,
    what_was_published_is_not_taken_again,
    takers_at_the_same_time_share_nothing,
    a_lost_dispatch_is_taken_again_at_growing_distances,
    only_the_asked_queue_and_band_are_lost,
    depths_count_what_waits,
    what_was_canceled_or_has_expired_is_counted_no_more,
    a_look_is_at_a_part_of_what_waits_and_the_next_goes_on_there,
    what_waits_again_is_counted_and_claimed,
}

const HOLD: Duration = Duration::from_secs(10);

async fn take(on: &StoreFixture) -> Vec<Dispatch> {
    on.store.outbox.take_unpublished(100, HOLD).await.expect("take")
}

async fn published(on: &StoreFixture, jobs: Vec<NewJob>) -> Vec<Dispatch> {
    let dispatches = accepted(on, jobs).await;
    on.store.outbox.mark_published(&dispatches.iter().map(|d| d.id).collect::<Vec<_>>()).await.expect("mark");
    dispatches
}

async fn who_accepts_publishes_and_another_takes_over_when_it_falls_silent(on: &StoreFixture) {
    let dispatches = accepted(on, (0..5).map(|_| NewJob { dispatch_width: 2, ..job() }).collect()).await;
    assert_eq!(take(on).await, [], "whoever accepted has its chance first");
    on.age(HOLD).await;
    assert_eq!(take(on).await, dispatches, "whole, and oldest first");
}

async fn what_is_taken_is_held_and_comes_back_after_the_hold(on: &StoreFixture) {
    let dispatches = accepted(on, vec![job(), job(), job()]).await;
    on.age(HOLD).await;
    assert_eq!(on.store.outbox.take_unpublished(2, HOLD).await.expect("take"), dispatches[..2]);
    assert_eq!(take(on).await, dispatches[2..]);
    assert_eq!(take(on).await, []);
    on.age(HOLD).await;
    assert_eq!(take(on).await, dispatches);
}

async fn what_was_published_is_not_taken_again(on: &StoreFixture) {
    let dispatches = published(on, vec![job(), job()]).await;
    on.age(HOUR).await;
    assert_eq!(take(on).await, []);
    // The row is there until somebody claims; a late confirm of one that is gone does no harm.
    assert_eq!(on.count("dispatches").await, 2);
    let (worker, _life) = worker(on).await;
    claim(on, worker, vec![dispatches[0].clone()]).await;
    on.store.outbox.mark_published(&[dispatches[0].id, dispatches[1].id]).await.expect("mark");
    assert_eq!(on.count("dispatches").await, 1);
}

async fn takers_at_the_same_time_share_nothing(on: &StoreFixture) {
    let dispatches = accepted(on, (0..60).map(|_| job()).collect()).await;
    on.age(HOLD).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let taken = futures_util::future::join_all((0..4).map(|_| on.store.outbox.take_unpublished(7, HOLD))).await;
        ids.extend(taken.into_iter().flat_map(|t| t.expect("take")).map(|d| d.id));
    }
    ids.sort_unstable();
    let mut all: Vec<_> = dispatches.iter().map(|d| d.id).collect();
    all.sort_unstable();
    assert_eq!(ids, all);
}

async fn a_lost_dispatch_is_taken_again_at_growing_distances(on: &StoreFixture) {
    const AGE: Duration = Duration::from_secs(20);
    let lost = async |limit| {
        on.store.outbox.take_lost(&queue("default"), Band::Normal, AGE, limit, &[]).await.expect("take lost")
    };
    let dispatches = published(on, vec![job(), job()]).await;
    accepted(on, vec![job()]).await; // Never published, so it cannot be lost.
    assert_eq!(lost(10).await, []);
    on.age(AGE).await;
    assert_eq!(lost(1).await, dispatches[..1], "the oldest first, whole");
    assert_eq!(lost(10).await, dispatches[1..], "what was taken is not taken again at once");
    let ids: Vec<_> = dispatches.iter().map(|d| d.id).collect();
    // 20 s, 40 s, 80 s, 160 s, and then no more than 300 s.
    for wait in [40, 80, 160, 300, 300, 300] {
        on.store.outbox.mark_published(&ids).await.expect("mark");
        on.age(Duration::from_secs(wait - 2)).await;
        assert_eq!(lost(10).await, [], "not before {wait} s");
        on.age(Duration::from_secs(2)).await;
        assert_eq!(lost(10).await, dispatches, "after {wait} s");
    }
    // Whoever took them falls silent: another publishes them in its place.
    on.age(HOLD).await;
    assert_eq!(take(on).await[..2], dispatches);
}

async fn only_the_asked_queue_and_band_are_lost(on: &StoreFixture) {
    let here = NewJob { queue: queue("here"), priority: 9, ..job() };
    let jobs =
        vec![here.clone(), NewJob { priority: 5, ..here.clone() }, NewJob { queue: queue("there"), ..here.clone() }];
    let ids = [here.id, raincheck_shared::lifecycle::IdSource.job(), raincheck_shared::lifecycle::IdSource.job()];
    let jobs = jobs.into_iter().zip(ids).map(|(job, id)| NewJob { id, ..job }).collect();
    published(on, jobs).await;
    on.age(HOUR).await;
    let lost = on.store.outbox.take_lost(&queue("here"), Band::High, HOLD, 10, &[]).await.expect("take lost");
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].jobs, [here.id]);
}

async fn depths_count_what_waits(on: &StoreFixture) {
    assert_eq!(on.store.outbox.depths(&[]).await.expect("depths"), []);
    let wide = || NewJob { dispatch_width: 3, ..job() };
    published(on, (0..5).map(|_| wide()).collect()).await;
    on.age(HOUR).await;
    published(on, vec![wide()]).await;
    accepted(on, vec![wide(), NewJob { priority: 9, ..wide() }]).await;
    let (worker, _life) = worker(on).await;
    let other = published(on, vec![NewJob { queue: queue("other"), ..wide() }]).await;
    claim(on, worker, other).await;

    let mut depths = on.store.outbox.depths(&[]).await.expect("depths");
    depths.sort_by_key(|d| d.band);
    assert_eq!(depths.len(), 2, "a queue in which nothing waits has no depth: {depths:?}");
    let (normal, high) = (&depths[0], &depths[1]);
    assert_eq!((&normal.queue, normal.band, normal.jobs, normal.published), (&queue("default"), Band::Normal, 7, 3));
    let oldest = normal.oldest_published.expect("something was published");
    assert!(oldest >= HOUR && oldest < HOUR + Duration::from_mins(1), "{oldest:?}");
    assert_eq!((high.band, high.jobs, high.published, high.oldest_published), (Band::High, 1, 0, None));
}

async fn waiting(on: &StoreFixture) -> u64 {
    on.store.outbox.depths(&[]).await.expect("depths").iter().map(|depth| depth.jobs).sum()
}

async fn drop_spent(on: &StoreFixture) -> u64 {
    on.store.outbox.drop_spent().await.expect("drop")
}

async fn cancel(on: &StoreFixture, id: JobId) {
    on.store.jobs.cancel_job(&TenantName::default(), id, None, HOUR).await.expect("cancel");
}

async fn what_was_canceled_or_has_expired_is_counted_no_more(on: &StoreFixture) {
    let wide: Vec<NewJob> = (0..3).map(|_| NewJob { dispatch_width: 3, ..job() }).collect();
    let lone = NewJob { queue: queue("lone"), ..job() };
    let late = NewJob { queue: queue("late"), start_by: Some(now() + HOUR), ..job() };
    let whole = batch(vec![NewJob { queue: queue("batch"), ..job() }; 1]);
    let mut messages = published(on, wide.clone()).await;
    messages.extend(published(on, vec![lone.clone(), late]).await);
    let whole_id = whole.id;
    on.store.batches.accept_batch(whole).await.expect("accept a batch");
    assert_eq!((waiting(on).await, drop_spent(on).await, waiting(on).await), (6, 0, 6), "all of them wait");

    // The one that the message begins with, by which a claim knows its dispatch.
    let [first, others @ ..] = messages[0].jobs.as_slice() else { panic!("no jobs") };
    cancel(on, *first).await;
    cancel(on, lone.id).await;
    on.store.batches.cancel_batch(&TenantName::default(), whole_id, None, HOUR).await.expect("cancel a batch");
    on.age(HOUR).await;
    assert_eq!(fire(on).await.changes.len(), 1, "one expires");
    assert_eq!(drop_spent(on).await, 4);
    assert_eq!((waiting(on).await, on.count("dispatches").await, drop_spent(on).await), (2, 1, 0));
    let ledger = on.store.queues.find_ledger().await.expect("read the ledger");
    assert_eq!(ledger.waiting.iter().map(|queue| queue.jobs).collect::<Vec<_>>(), [2]);

    // The messages are on their way as they were.
    let (worker, _life) = worker(on).await;
    let mut claimed: Vec<JobId> = claim(on, worker, messages.clone()).await.iter().map(|job| job.fence.job).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, others);
    assert_eq!(on.count("dispatches").await, 0);
}

async fn a_look_is_at_a_part_of_what_waits_and_the_next_goes_on_there(on: &StoreFixture) {
    // More than one look is at, in either store.
    const PART: usize = 1_500;
    let mut last = job().id;
    for _ in 0..8 {
        let jobs: Vec<NewJob> = (0..PART).map(|_| NewJob { dispatch_width: 500, ..job() }).collect();
        let dispatches = accepted(on, jobs).await;
        last = *dispatches.last().expect("dispatches").jobs.last().expect("jobs");
    }
    let first = accepted(on, vec![job()]).await[0].jobs[0];
    cancel(on, last).await;
    cancel(on, first).await;
    let mut found = Vec::new();
    while found.iter().sum::<u64>() < 2 {
        found.push(drop_spent(on).await);
        assert!(found.len() < 20, "{found:?}");
    }
    assert!(found.len() > 1, "{found:?}");
    assert_eq!(waiting(on).await, 8 * PART as u64 - 1);
    // Round and round.
    let oldest = on.store.survey.list_waiting(1).await.expect("list")[0].first;
    cancel(on, oldest).await;
    assert_eq!(drop_spent(on).await, 1, "from the first again");
}

async fn what_waits_again_is_counted_and_claimed(on: &StoreFixture) {
    let (scheduled, retried, rescued) = (scheduled_job(HOUR), running(on, job()).await, running(on, job()).await);
    accepted(on, vec![scheduled.clone()]).await;
    finished(on, &retried, retry(HOUR)).await;
    assert_eq!((drop_spent(on).await, waiting(on).await), (0, 0));
    on.age(HOUR).await;
    let mut dispatches = fire(on).await.dispatches;
    dispatches.extend(rescue_all(on, 3).await.into_iter().flat_map(|moved| moved.dispatches));
    assert_eq!((drop_spent(on).await, waiting(on).await), (0, 3));
    let (worker, _life) = worker(on).await;
    let mut claimed: Vec<JobId> = claim(on, worker, dispatches).await.iter().map(|job| job.fence.job).collect();
    let mut all = [scheduled.id, retried.id, rescued.id];
    claimed.sort_unstable();
    all.sort_unstable();
    assert_eq!(claimed, all);
}
