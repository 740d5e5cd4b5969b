//! Rescue: a dead worker's jobs run again, and a job that kills its workers does not run for ever.

use std::time::Duration;

use raincheck_shared::domain::{FailureCode, NewJob, Status};
use raincheck_shared::store::LeaseError;

use super::against_each_store;
use super::given::{
    HOUR, accepted, claim, find, finished, job, rescue_all, running, running_again, succeeded, worker, worker_with,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    the_jobs_of_a_worker_whose_lease_ran_out_wait_again,
    a_worker_that_renews_is_not_dead,
    a_job_that_crashed_too_often_fails_as_worker_lost,
    a_rescued_worker_can_no_longer_renew,
    only_a_lease_missed_while_the_store_was_up_counts,
    a_rescue_leaves_what_its_worker_had_finished,
    a_worker_without_jobs_is_forgotten_when_it_dies,
    rescuers_at_the_same_time_count_one_crash,
}

async fn the_jobs_of_a_worker_whose_lease_ran_out_wait_again(on: &StoreFixture) {
    let dispatches = accepted(on, (0..3).map(|_| NewJob { dispatch_width: 2, ..job() }).collect()).await;
    let (dead, _life) = worker(on).await;
    let mut leases = Vec::new();
    for dispatch in dispatches {
        leases.push(claim(on, dead, vec![dispatch]).await);
    }
    assert_eq!(on.count("leases").await, 2);
    assert_eq!(on.store.upkeep.rescue_dead_worker(5, Some(HOUR), HOUR).await.expect("rescue"), None, "it lives");

    on.age(HOUR).await;
    let moved = rescue_all(on, 5).await;
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].changes.len(), 3);
    let mut waiting: Vec<_> = moved[0].dispatches.iter().flat_map(|d| d.jobs.clone()).collect();
    waiting.sort_unstable();
    let mut ids: Vec<_> = leases.iter().flatten().map(|c| c.fence.job).collect();
    ids.sort_unstable();
    assert_eq!(waiting, ids);
    for id in ids {
        let job = find(on, id).await;
        assert_eq!((job.status, job.version, job.attempt), (Status::Queued, 3, 0), "a crash costs no attempt");
        assert_eq!((job.finished_at, job.error, job.attempts.len()), (None, None, 0));
        assert_eq!(on.crashes_of(id).await, 1);
    }
    assert_eq!((on.count("workers").await, on.count("leases").await), (0, 0));

    let (next, _life) = worker(on).await;
    let claimed = claim(on, next, moved[0].dispatches.clone()).await;
    assert_eq!(claimed.len(), 3);
    assert!(claimed.iter().all(|c| c.crashes == 1 && c.fence.attempt == 1 && c.version == 4));
}

async fn a_worker_that_renews_is_not_dead(on: &StoreFixture) {
    let (worker, mut life) = worker_with(on, 10 * HOUR).await;
    let dispatches = accepted(on, vec![job()]).await;
    claim(on, worker, dispatches).await;
    on.age(9 * HOUR).await;
    life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew");
    on.age(9 * HOUR).await;
    assert!(rescue_all(on, 5).await.is_empty());
    life.renew(&raincheck_shared::domain::WorkerReport::default())
        .await
        .expect("a lease that nobody has taken can be renewed");
}

async fn a_job_that_crashed_too_often_fails_as_worker_lost(on: &StoreFixture) {
    let new = job();
    let mut dispatches = accepted(on, vec![new.clone()]).await;
    for crash in 1..=3_i32 {
        running_again(on, new.id, dispatches).await;
        on.age(HOUR).await;
        let moved = rescue_all(on, 3).await;
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].changes.len(), 1);
        assert_eq!(on.crashes_of(new.id).await, i64::from(crash));
        dispatches = moved[0].dispatches.clone();
        let expected = if crash == 3 { Status::Failed } else { Status::Queued };
        assert_eq!(moved[0].changes[0].status, expected);
    }
    assert_eq!(dispatches, []);
    let failed = find(on, new.id).await;
    assert_eq!((failed.status, failed.version), (Status::Failed, 7));
    assert_eq!(failed.error.as_ref().map(|e| e.code), Some(FailureCode::WorkerLost));
    assert_eq!(failed.attempts.len(), 1, "only the crash that ended it is told: {:?}", failed.attempts);
    assert_eq!(Some(&failed.attempts[0].error), failed.error.as_ref());
    assert!(failed.finished_at.is_some() && failed.expires_at.is_some());
}

async fn a_rescued_worker_can_no_longer_renew(on: &StoreFixture) {
    let mut stale = running(on, job()).await;
    on.age(HOUR).await;
    rescue_all(on, 5).await;
    let renewed = stale.life.renew(&raincheck_shared::domain::WorkerReport::default()).await;
    assert!(matches!(renewed, Err(LeaseError::Lost)), "{renewed:?}");
    stale.life.end().await.expect("whoever was declared dead may still leave");
}

async fn only_a_lease_missed_while_the_store_was_up_counts(on: &StoreFixture) {
    let held = running(on, job()).await;
    on.age(HOUR).await;
    let just_up = Some(Duration::from_millis(1));
    assert_eq!(on.store.upkeep.rescue_dead_worker(5, just_up, HOUR).await.expect("rescue"), None);
    assert_eq!(find(on, held.id).await.status, Status::InProgress);
    assert!(on.store.upkeep.rescue_dead_worker(5, Some(HOUR), HOUR).await.expect("rescue").is_some());
    assert_eq!(find(on, held.id).await.status, Status::Queued);
}

async fn a_rescue_leaves_what_its_worker_had_finished(on: &StoreFixture) {
    let done = running(on, job()).await;
    on.plant_lease(done.worker, done.id).await;
    let before = finished(on, &done, succeeded(b"1")).await;
    let released = running(on, job()).await;
    on.plant_lease(released.worker, released.id).await;
    finished(on, &released, raincheck_shared::domain::Ended::Released).await;
    // Somebody else runs it by now.
    let dispatches = on.store.outbox.take_unpublished(10, HOUR).await.expect("take");
    let (other, _life) = worker_with(on, 100 * HOUR).await;
    assert_eq!(claim(on, other, dispatches).await.len(), 1);

    on.age(HOUR).await;
    let moved = rescue_all(on, 5).await;
    assert_eq!(moved.len(), 2);
    assert!(moved.iter().all(|m| m.changes.is_empty() && m.dispatches.is_empty()), "{moved:?}");
    let after = find(on, done.id).await;
    assert_eq!((after.status, after.version), (before.status, before.version));
    let after = find(on, released.id).await;
    assert_eq!((after.status, after.worker), (Status::InProgress, Some(other)));
}

async fn a_worker_without_jobs_is_forgotten_when_it_dies(on: &StoreFixture) {
    let (_id, mut life) = worker(on).await;
    on.age(HOUR).await;
    rescue_all(on, 5).await;
    assert_eq!(on.count("workers").await, 0);
    assert!(matches!(life.renew(&raincheck_shared::domain::WorkerReport::default()).await, Err(LeaseError::Lost)));
}

async fn rescuers_at_the_same_time_count_one_crash(on: &StoreFixture) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(running(on, job()).await.id);
    }
    on.age(HOUR).await;
    let mut changes = Vec::new();
    for _ in 0..5 {
        let rescues = (0..4).map(|_| on.store.upkeep.rescue_dead_worker(5, Some(HOUR), HOUR));
        for moved in futures_util::future::join_all(rescues).await {
            changes.extend(moved.expect("rescue").into_iter().flat_map(|m| m.changes));
        }
    }
    let mut moved: Vec<_> = changes.iter().map(|c| c.id).collect();
    moved.sort_unstable();
    assert_eq!(moved, ids);
    for id in ids {
        assert_eq!(on.crashes_of(id).await, 1);
    }
    assert_eq!(on.count("dispatches").await, 5);
}
