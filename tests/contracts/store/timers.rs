//! What is due: starts, retries, expiries.

use std::time::Duration;

use raincheck_shared::domain::{Band, Ended, Event, Failure, FailureCode, JobId, NewJob, Status};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Change, Claim};

use super::against_each_store;
use super::announcements::told;
use super::given::{
    HOUR, accepted, claim, failure, find, finished, fire, job, kind, made_up_dispatch, now, queue, rescue_all, retry,
    running, running_again, scheduled_job, worker,
};
use super::remote_leases::{lease, order};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_scheduled_job_is_queued_when_it_is_due_and_not_before,
    the_next_timer_is_told,
    jobs_that_are_due_together_share_dispatches_of_their_width,
    more_timers_than_asked_for_are_left_for_the_next_call,
    a_job_that_has_not_started_in_time_expires,
    a_job_that_has_started_once_never_expires,
    a_job_that_waits_for_another_attempt_fails_at_its_deadline_with_its_last_error,
    a_job_that_was_given_back_put_off_or_rescued_fails_at_its_deadline,
    a_deadline_that_passes_while_a_job_runs_counts_once_it_is_given_back,
    a_start_timeout_says_nothing_of_another_attempt_and_the_deadline_still_does,
    no_attempt_starts_after_the_deadline_however_late_its_timer,
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

const TOO_LATE: &str = "its deadline leaves no time for another attempt";

fn due_by(deadline: Duration) -> NewJob {
    NewJob { deadline: Some(now() + deadline), ..told(&[Event::Failed], job()) }
}

/// It ends as failed with this version, is told of, leaves no timer, and is nothing to claim.
async fn fails_at_its_deadline(on: &StoreFixture, id: JobId) -> Failure {
    let before = find(on, id).await;
    let moved = fire(on).await;
    assert_eq!(moved.dispatches, []);
    assert_eq!(moved.changes, [Change { id, version: before.version + 1, status: Status::Failed }]);
    let job = find(on, id).await;
    assert_eq!((job.status, job.attempt, &job.attempts), (Status::Failed, before.attempt, &before.attempts));
    assert!(job.finished_at.is_some() && job.expires_at.is_some() && job.next_attempt_at.is_none());
    assert_eq!((on.timers_of(id).await, on.count("deliveries").await), (0, 1));
    let (worker, _life) = worker(on).await;
    assert_eq!(claim(on, worker, vec![made_up_dispatch(id)]).await, []);
    on.run("DELETE FROM deliveries".to_owned()).await;
    job.error.expect("why it failed")
}

async fn a_job_that_waits_for_another_attempt_fails_at_its_deadline_with_its_last_error(on: &StoreFixture) {
    let retrying = running(on, due_by(HOUR)).await;
    finished(on, &retrying, retry(2 * HOUR)).await;
    assert!(fire(on).await.changes.is_empty());
    on.age(HOUR).await;
    let error = fails_at_its_deadline(on, retrying.id).await;
    let said = failure(1);
    assert_eq!(error, Failure { message: format!("{} ({TOO_LATE})", said.message), ..said });

    // Queued once more, and nobody takes it.
    let waiting = running(on, due_by(HOUR)).await;
    finished(on, &waiting, retry(HOUR / 2)).await;
    on.age(HOUR / 2).await;
    assert_eq!(fire(on).await.changes.len(), 1);
    assert_eq!(find(on, waiting.id).await.status, Status::Queued);
    on.age(HOUR / 2).await;
    assert_eq!(fails_at_its_deadline(on, waiting.id).await, error);

    // Both are due at once: it is too late.
    let both = running(on, due_by(HOUR)).await;
    finished(on, &both, retry(HOUR / 2)).await;
    on.age(HOUR).await;
    fire(on).await;
    let job = find(on, both.id).await;
    assert_eq!((job.status, on.timers_of(both.id).await), (Status::Failed, 0));
}

async fn a_job_that_was_given_back_put_off_or_rescued_fails_at_its_deadline(on: &StoreFixture) {
    for ended in [Ended::Released, Ended::Snoozed(2 * HOUR)] {
        let back = running(on, due_by(HOUR)).await;
        finished(on, &back, ended).await;
        on.age(HOUR).await;
        let error = fails_at_its_deadline(on, back.id).await;
        let message = format!("put off or given back, and {TOO_LATE}");
        assert_eq!(error, Failure::new(FailureCode::HandlerError, message, true, 1));
    }
    let rescued = running(on, due_by(20 * HOUR)).await;
    on.age(10 * HOUR).await;
    rescue_all(on, 5).await;
    assert_eq!(find(on, rescued.id).await.status, Status::Queued);
    assert!(fire(on).await.changes.is_empty());
    on.age(10 * HOUR).await;
    let error = fails_at_its_deadline(on, rescued.id).await;
    let message = format!("the worker died while it ran this, and {TOO_LATE}");
    assert_eq!(error, Failure::new(FailureCode::WorkerLost, message, true, 1));

    let stray = running(on, due_by(20 * HOUR)).await;
    assert_eq!(on.store.attempts.drop_stray_leases(stray.worker, &[], &[]).await.expect("drop").len(), 1);
    on.age(20 * HOUR).await;
    fails_at_its_deadline(on, stray.id).await;
}

async fn a_deadline_that_passes_while_a_job_runs_counts_once_it_is_given_back(on: &StoreFixture) {
    let (back, lost) = (running(on, due_by(HOUR)).await, running(on, due_by(HOUR)).await);
    on.age(HOUR).await;
    assert!(fire(on).await.changes.is_empty(), "a deadline does not stop what runs");
    finished(on, &back, Ended::Released).await;
    fails_at_its_deadline(on, back.id).await;
    rescue_all(on, 5).await;
    fails_at_its_deadline(on, lost.id).await;
}

async fn a_start_timeout_says_nothing_of_another_attempt_and_the_deadline_still_does(on: &StoreFixture) {
    let both = || NewJob { start_by: Some(now() + HOUR), ..due_by(3 * HOUR) };
    let (back, runs) = (running(on, both()).await, running(on, both()).await);
    finished(on, &back, Ended::Released).await;
    on.age(HOUR).await;
    assert!(fire(on).await.changes.is_empty(), "its start timeout has passed");
    assert_eq!(find(on, back.id).await.status, Status::Queued);
    finished(on, &runs, Ended::Released).await;
    on.age(HOUR).await;
    assert!(fire(on).await.changes.is_empty());
    on.age(HOUR).await;
    let moved = fire(on).await.changes;
    assert_eq!(moved.iter().map(|change| change.status).collect::<Vec<_>>(), [Status::Failed; 2]);
}

async fn no_attempt_starts_after_the_deadline_however_late_its_timer(on: &StoreFixture) {
    for way in ["claim", "claim_waiting", "lease_waiting"] {
        let (fresh, again, plain) = (due_by(HOUR), running(on, due_by(HOUR)).await, job());
        finished(on, &again, Ended::Released).await;
        let mut dispatches = on.store.outbox.take_unpublished(10, HOUR).await.expect("take");
        dispatches.extend(accepted(on, vec![fresh.clone(), plain.clone()]).await);
        on.age(HOUR).await;
        // As a release left them that set none for what was given back.
        on.run("DELETE FROM timers".to_owned()).await;
        let (worker, _life) = worker(on).await;
        let (queues, kinds) = ([plain.queue], [plain.kind]);
        let empty = Claim { worker, lease: IdSource.lease(), dispatches: Vec::new() };
        let started: Vec<JobId> = match way {
            "claim" => claim(on, worker, dispatches).await.iter().map(|job| job.fence.job).collect(),
            "claim_waiting" => {
                let claimed = on.store.attempts.claim_waiting(empty, &queues, &kinds, 10).await.expect("claim");
                claimed.iter().map(|job| job.fence.job).collect()
            }
            _ => lease(on, order(10)).await.iter().map(|job| job.fence.job).collect(),
        };
        assert_eq!(started, [plain.id], "{way}");
        assert_eq!(on.count("dispatches").await, 0, "{way}");
        let mut ends: Vec<_> = fire(on).await.changes.iter().map(|change| (change.id, change.status)).collect();
        ends.sort_unstable_by_key(|(id, _)| *id);
        let mut expected = [(fresh.id, Status::Expired), (again.id, Status::Failed)];
        expected.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(ends, expected, "{way}");
    }
}

async fn an_expired_job_cannot_be_claimed(on: &StoreFixture) {
    let dispatches = accepted(on, vec![NewJob { start_by: Some(now() - HOUR), ..job() }]).await;
    fire(on).await;
    let (worker, _life) = worker(on).await;
    assert_eq!(claim(on, worker, dispatches).await, []);
}

async fn a_timer_of_no_job_just_goes(on: &StoreFixture) {
    let id = IdSource.job();
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
