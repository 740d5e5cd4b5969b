//! Retention: what has outlived it goes, and takes its key along.

use raincheck_shared::domain::{NewJob, Status};

use super::against_each_store;
use super::given::{DAY, HOUR, accepted, find, finished, job, keyed_job, running, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    what_has_outlived_its_retention_is_removed_with_its_key,
    what_is_live_is_never_removed,
    partitions_can_be_prepared_at_any_time,
}

async fn remove_all(on: &StoreFixture) {
    for _ in 0..100 {
        if !on.store.upkeep.remove_expired().await.expect("remove") {
            return;
        }
    }
    panic!("there is always more to remove");
}

async fn what_has_outlived_its_retention_is_removed_with_its_key(on: &StoreFixture) {
    let short = running(on, NewJob { retention: HOUR, ..job() }).await;
    let keyed = running(on, NewJob { retention: HOUR, ..keyed_job("k", 1) }).await;
    let long = running(on, NewJob { retention: 2 * DAY, ..keyed_job("long", 1) }).await;
    for running in [&short, &keyed, &long] {
        finished(on, running, succeeded(b"1")).await;
    }
    remove_all(on).await;
    assert_eq!((on.count("jobs").await, on.count("idempotency_keys").await), (3, 2));

    on.age(HOUR).await;
    remove_all(on).await;
    assert_eq!(on.store.jobs.find_jobs(&[short.id], 0).await.expect("read"), []);
    assert_eq!(find(on, keyed.id).await.status, Status::Succeeded, "its key is good for a day");

    on.age(DAY).await;
    remove_all(on).await;
    assert_eq!(on.store.jobs.find_jobs(&[keyed.id], 0).await.expect("read"), []);
    find(on, long.id).await;
    assert_eq!(on.count("idempotency_keys").await, 1);
    // The key is free again.
    accepted(on, vec![keyed_job("k", 2)]).await;
}

async fn what_is_live_is_never_removed(on: &StoreFixture) {
    let brief = || NewJob { retention: std::time::Duration::ZERO, ..job() };
    let (waiting, running) = (brief(), running(on, brief()).await);
    accepted(on, vec![waiting.clone()]).await;
    on.age(400 * DAY).await;
    remove_all(on).await;
    assert_eq!(find(on, waiting.id).await.status, Status::Queued);
    assert_eq!(find(on, running.id).await.status, Status::InProgress);
}

async fn partitions_can_be_prepared_at_any_time(on: &StoreFixture) {
    accepted(on, vec![job()]).await;
    for _ in 0..2 {
        on.store.upkeep.prepare_partitions().await.expect("prepare");
    }
    let new = job();
    accepted(on, vec![new.clone()]).await;
    find(on, new.id).await;
}
