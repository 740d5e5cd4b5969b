//! What is due: starts, retries, expiries.

use std::time::Duration;

use raincheck_shared::domain::{Band, Ended, JobId, NewJob, Status};

use super::against_each_store;
use super::given::{
    HOUR, accepted, claim, find, finished, fire, job, kind, now, queue, retry, running, running_again, scheduled_job,
    worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_scheduled_job_is_queued_when_it_is_due_and_not_before,
    the_next_timer_is_told,
    jobs_that_are_due_together_share_dispatches_of_their_width,
    more_timers_than_asked_for_are_left_for_the_next_call,
    a_job_that_has_not_started_in_time_expires,
    a_job_that_has_started_once_never_expires,
    an_expired_job_cannot_be_claimed,
    a_timer_of_no_job_just_goes,
    timers_fired_by_many_at_once_move_each_job_once,
}

async fn a_scheduled_job_is_queued_when_it_is_due_and_not_before(on: &StoreFixture) {
    let new = NewJob { priority: 9, queue: queue("later"), kind: kind("test.later"), ..scheduled_job(HOUR) };
    accepted(on, vec![new.clone()]).await;
    assert_eq!(fire(on).await, raincheck_shared::store::Moved::default());
    assert_eq!(find(on, new.id).await.status, Status::Scheduled);

    on.age(HOUR).await;
    let moved = fire(on).await;
    assert_eq!(moved.changes.len(), 1);
    assert_eq!((moved.changes[0].id, moved.changes[0].version, moved.changes[0].status), (new.id, 2, Status::Queued));
    assert_eq!(moved.dispatches.len(), 1);
    let dispatch = &moved.dispatches[0];
    assert_eq!((&dispatch.queue, dispatch.band, &dispatch.kind), (&new.queue, Band::High, &new.kind));
    assert_eq!(dispatch.jobs, [new.id]);
    assert_eq!(find(on, new.id).await.status, Status::Queued);
    assert!(fire(on).await.changes.is_empty(), "once");
    running_again(on, new.id, moved.dispatches).await;
}

async fn the_next_timer_is_told(on: &StoreFixture) {
    let next = async || on.store.upkeep.next_timer().await.expect("next timer");
    assert_eq!(next().await, None);
    accepted(on, vec![scheduled_job(2 * HOUR), scheduled_job(HOUR), job()]).await;
    let first = next().await.expect("a timer");
    assert!(first > Duration::from_mins(59) && first <= HOUR, "{first:?}");
    on.age(2 * HOUR).await;
    assert_eq!(next().await, Some(Duration::ZERO), "overdue");
    fire(on).await;
    assert_eq!(next().await, None);
}

async fn jobs_that_are_due_together_share_dispatches_of_their_width(on: &StoreFixture) {
    accepted(on, (0..5).map(|_| NewJob { dispatch_width: 2, ..scheduled_job(HOUR) }).collect()).await;
    accepted(on, vec![scheduled_job(HOUR)]).await;
    on.age(HOUR).await;
    let mut widths: Vec<usize> = fire(on).await.dispatches.iter().map(|d| d.jobs.len()).collect();
    widths.sort_unstable();
    assert_eq!(widths, [1, 1, 2, 2]);
}

async fn more_timers_than_asked_for_are_left_for_the_next_call(on: &StoreFixture) {
    accepted(on, (0..5).map(|_| scheduled_job(HOUR)).collect()).await;
    on.age(HOUR).await;
    let first = on.store.upkeep.fire_timers(3).await.expect("fire");
    assert_eq!((first.changes.len(), first.more), (3, true));
    let second = on.store.upkeep.fire_timers(3).await.expect("fire");
    assert_eq!((second.changes.len(), second.more), (2, false));
}

async fn a_job_that_has_not_started_in_time_expires(on: &StoreFixture) {
    let queued = NewJob { start_by: Some(now() + HOUR), ..job() };
    let late = NewJob { deadline: Some(now() + HOUR), ..scheduled_job(2 * HOUR) };
    let earlier_wins = NewJob { start_by: Some(now() + 10 * HOUR), deadline: Some(now() + HOUR), ..job() };
    let in_time = NewJob { start_by: Some(now() + 10 * HOUR), ..job() };
    let all = [&queued, &late, &earlier_wins, &in_time];
    accepted(on, all.into_iter().cloned().collect()).await;
    assert!(fire(on).await.changes.is_empty());

    on.age(HOUR + Duration::from_secs(1)).await;
    let mut moved = fire(on).await.changes;
    moved.sort_by_key(|c| c.id);
    let ids: Vec<JobId> = moved.iter().map(|c| c.id).collect();
    assert_eq!(ids, [queued.id, late.id, earlier_wins.id]);
    for change in moved {
        assert_eq!((change.status, change.version), (Status::Expired, 2));
        let job = find(on, change.id).await;
        assert_eq!((job.status, job.attempt, job.started_at), (Status::Expired, 0, None));
        assert!(job.finished_at.is_some() && job.expires_at.is_some());
        assert_eq!((job.error, job.result), (None, None));
        assert_eq!(on.timers_of(change.id).await, 0);
    }
    assert_eq!(find(on, in_time.id).await.status, Status::Queued);
}

async fn a_job_that_has_started_once_never_expires(on: &StoreFixture) {
    let with_limit = || NewJob { start_by: Some(now() + HOUR), ..job() };
    let (runs, released, retrying) =
        (running(on, with_limit()).await, running(on, with_limit()).await, running(on, with_limit()).await);
    finished(on, &released, Ended::Released).await;
    finished(on, &retrying, retry(2 * HOUR)).await;
    on.age(HOUR).await;
    assert!(fire(on).await.changes.is_empty());
    assert_eq!(find(on, runs.id).await.status, Status::InProgress);
    assert_eq!(find(on, released.id).await.status, Status::Queued);
    assert_eq!(find(on, retrying.id).await.status, Status::Retrying);
}

async fn an_expired_job_cannot_be_claimed(on: &StoreFixture) {
    let dispatches = accepted(on, vec![NewJob { start_by: Some(now() - HOUR), ..job() }]).await;
    fire(on).await;
    let (worker, _life) = worker(on).await;
    assert_eq!(claim(on, worker, dispatches).await, []);
}

async fn a_timer_of_no_job_just_goes(on: &StoreFixture) {
    let id = raincheck_shared::lifecycle::IdSource.job();
    for purpose in ["enqueue", "expire", "revoke"] {
        on.plant_timer(id, purpose, None).await;
    }
    let moved = fire(on).await;
    assert!(moved.changes.is_empty() && moved.dispatches.is_empty() && !moved.more);
    assert_eq!(on.count("timers").await, 0);
}

async fn timers_fired_by_many_at_once_move_each_job_once(on: &StoreFixture) {
    accepted(on, (0..40).map(|_| scheduled_job(HOUR)).collect()).await;
    on.age(HOUR).await;
    let mut changed: Vec<JobId> = Vec::new();
    let mut dispatched: Vec<JobId> = Vec::new();
    for _ in 0..20 {
        let fired = futures_util::future::join_all((0..4).map(|_| on.store.upkeep.fire_timers(5))).await;
        for moved in fired {
            let moved = moved.expect("fire");
            changed.extend(moved.changes.iter().map(|c| c.id));
            dispatched.extend(moved.dispatches.iter().flat_map(|d| d.jobs.iter().copied()));
        }
    }
    for ids in [&mut changed, &mut dispatched] {
        ids.sort_unstable();
        assert_eq!(ids.len(), 40);
        ids.dedup();
        assert_eq!(ids.len(), 40);
    }
    assert_eq!(on.count("timers").await, 0);
}
