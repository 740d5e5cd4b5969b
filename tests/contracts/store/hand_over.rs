//! Attempts that are handed over: they live on without their worker, until they are ended, overdue or canceled.

use raincheck_shared::domain::{Ended, Fence, NewJob, Status, TenantName, WorkerId, WorkerReport};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Canceled, Change, Finish, Finished, FoundAttempt, HandOver, lease_of};

use super::against_each_store;
use super::given::{
    HOUR, Running, TTL, accepted, claim, find, finish, finished, job, rescue_all, retry, running, succeeded, worker,
};
use crate::harness::store::StoreFixture;

against_each_store!(
    a_job_that_is_handed_over_outlives_its_worker_and_is_ended_by_its_token,
    the_same_attempt_is_handed_over_once_however_often_it_is_sent,
    a_fence_that_does_not_fit_hands_nothing_over,
    an_attempt_that_was_ended_before_is_not_handed_over,
    a_run_that_takes_too_long_is_listed,
    a_cancel_ends_it_at_the_next_look,
    the_last_of_a_claim_takes_its_record_along,
);

fn hands_over(running: &Running) -> HandOver {
    let Running { fence, worker, lease, .. } = running;
    HandOver { fence: *fence, worker: *worker, to: IdSource.worker(), lease_done: Some(*lease) }
}

async fn hand_over(on: &StoreFixture, one: HandOver) -> bool {
    let gone = on.store.remote_leases.hand_over(&[one]).await.expect("hand over");
    assert!(gone.is_empty() || gone == [one.fence.job], "{gone:?}");
    !gone.is_empty()
}

async fn attempt(on: &StoreFixture, fence: Fence) -> Option<FoundAttempt> {
    on.store.attempts.find_attempt(fence.job, fence.token).await.expect("find")
}

/// Ends it as whoever has the token does.
async fn end(on: &StoreFixture, fence: Fence, ended: Ended) -> Finished {
    let worker = attempt(on, fence).await.expect("the token fits").worker;
    finish(on, Finish { fence, worker, ended, lease_done: Some(lease_of(worker)) }).await
}

async fn forget(on: &StoreFixture, incarnation: WorkerId) {
    on.store.remote_leases.forget_leases(&[incarnation]).await.expect("forget");
}

async fn a_job_that_is_handed_over_outlives_its_worker_and_is_ended_by_its_token(on: &StoreFixture) {
    let run = running(on, NewJob { run_timeout: 100 * HOUR, ..job() }).await;
    let before = find(on, run.id).await;
    let given = hands_over(&run);
    assert!(hand_over(on, given).await);
    let after = find(on, run.id).await;
    assert_eq!((after.status, after.version, after.attempt), (before.status, before.version, before.attempt));
    assert_eq!(attempt(on, run.fence).await.map(|found| found.worker), Some(given.to));
    assert_eq!((on.count("workers").await, on.count("leases").await), (2, 1));

    on.age(2 * TTL).await;
    let moved = rescue_all(on, 5).await;
    assert_eq!((moved.len(), moved[0].changes.len()), (1, 0), "the worker is dead, and had nothing left");
    assert_eq!(finish(on, run.ends(succeeded(b"1"))).await, Finished::Fenced, "it is not the worker's any more");
    let first = end(on, run.fence, succeeded(b"2")).await;
    let done = find(on, run.id).await;
    let change = Change { id: run.id, version: done.version, status: Status::Succeeded };
    assert_eq!(first, Finished::Recorded(change));
    assert_eq!(end(on, run.fence, succeeded(b"2")).await, Finished::Before(change), "sent twice");
    forget(on, given.to).await;
    assert_eq!((on.count("workers").await, on.count("leases").await), (0, 0));
}

async fn the_same_attempt_is_handed_over_once_however_often_it_is_sent(on: &StoreFixture) {
    let run = running(on, job()).await;
    let given = hands_over(&run);
    assert!(hand_over(on, given).await);
    assert!(hand_over(on, given).await, "the first answer was lost");
    assert!(!hand_over(on, HandOver { to: IdSource.worker(), ..given }).await);
    assert_eq!((on.count("workers").await, on.count("leases").await), (2, 1));
    assert!(on.store.remote_leases.hand_over(&[]).await.expect("nothing").is_empty());
}

async fn a_fence_that_does_not_fit_hands_nothing_over(on: &StoreFixture) {
    let run = running(on, job()).await;
    let given = HandOver { lease_done: None, ..hands_over(&run) };
    let other_token = Fence { token: IdSource.random(), ..run.fence };
    let other_attempt = Fence { attempt: 2, ..run.fence };
    for wrong in [
        HandOver { fence: other_token, ..given },
        HandOver { fence: other_attempt, ..given },
        HandOver { worker: IdSource.worker(), ..given },
    ] {
        assert!(!hand_over(on, wrong).await, "{wrong:?}");
    }
    assert_eq!((on.count("workers").await, on.count("leases").await), (1, 1));
    assert_eq!(finished(on, &run, succeeded(b"1")).await.status, Status::Succeeded);
}

async fn an_attempt_that_was_ended_before_is_not_handed_over(on: &StoreFixture) {
    let mut run = running(on, job()).await;
    // Whoever has the token was faster than the worker's own word.
    assert!(matches!(end(on, run.fence, succeeded(b"1")).await, Finished::Recorded(_)));
    forget(on, run.worker).await;
    run.life.renew(&WorkerReport::default()).await.expect("the worker itself lives on");
    assert!(!hand_over(on, hands_over(&run)).await);
    assert_eq!(
        (on.count("workers").await, on.count("leases").await),
        (1, 0),
        "the claim's record is gone all the same"
    );
    assert_eq!(find(on, run.id).await.status, Status::Succeeded);
}

async fn a_run_that_takes_too_long_is_listed(on: &StoreFixture) {
    let minute = HOUR / 60;
    let run = running(on, NewJob { run_timeout: 2 * minute, ..job() }).await;
    on.age(minute).await;
    let given = hands_over(&run);
    assert!(hand_over(on, given).await);
    let overdue = async || on.store.remote_leases.list_overdue_runs(10).await.expect("list");
    assert_eq!(overdue().await, [], "it counts from when the attempt began");
    on.age(minute).await;
    let runs = overdue().await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].fence, runs[0].worker, runs[0].run_timeout), (run.fence, given.to, 2 * minute));
    end(on, run.fence, retry(HOUR)).await;
    assert_eq!(overdue().await, []);
    assert_eq!(find(on, run.id).await.status, Status::Retrying);
}

async fn a_cancel_ends_it_at_the_next_look(on: &StoreFixture) {
    let (run, other) = (running(on, job()).await, running(on, job()).await);
    assert!(hand_over(on, hands_over(&run)).await);
    assert!(hand_over(on, hands_over(&other)).await);
    run.life.end().await.expect("end");
    other.life.end().await.expect("end");
    assert_eq!(rescue_all(on, 5).await, []);
    let asked = on.store.jobs.cancel_job(&TenantName::default(), run.id, Some("enough"), HOUR).await;
    assert!(matches!(asked, Ok(Canceled::Asked(_))), "{asked:?}");
    let moved = rescue_all(on, 5).await;
    assert_eq!((moved.len(), moved[0].changes[0].status), (1, Status::Canceled));
    let canceled = find(on, run.id).await;
    let cancel = canceled.cancel.expect("it was asked for");
    assert_eq!(cancel.acknowledged_at, None, "nobody knows whether the upstream stopped");
    assert_eq!(on.timers_of(run.id).await, 0);
    assert_eq!(attempt(on, run.fence).await, None, "what comes late is refused");
    assert_eq!(find(on, other.id).await.status, Status::InProgress);
    assert_eq!((on.count("workers").await, on.count("leases").await), (1, 1));
}

async fn the_last_of_a_claim_takes_its_record_along(on: &StoreFixture) {
    let dispatches = accepted(on, (0..2).map(|_| NewJob { dispatch_width: 2, ..job() }).collect()).await;
    let (worker, life) = worker(on).await;
    let jobs = claim(on, worker, dispatches).await;
    let give = |n: usize, lease_done| HandOver { fence: jobs[n].fence, worker, to: IdSource.worker(), lease_done };
    assert!(hand_over(on, give(0, None)).await);
    assert_eq!(on.count("leases").await, 2);
    assert!(hand_over(on, give(1, Some(jobs[1].lease))).await);
    assert_eq!(on.count("leases").await, 2, "one for each, and none for the claim");
    life.end().await.expect("it holds nothing any more");
}
