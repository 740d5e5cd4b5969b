//! Cancelling: what waits ends at once, what runs is asked, and revoked when it does not stop.

use std::time::Duration;

use raincheck_shared::domain::{Ended, NewJob, Status, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Canceled, Change, Finished};

use super::against_each_store;
use super::given::{
    HOUR, accepted, claim, failure, find, finish, finished, fire, job, now, rescue_all, retry, running, scheduled_job,
    succeeded, worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    what_waits_is_canceled_at_once,
    what_runs_is_asked_and_its_worker_told,
    what_has_ended_cannot_be_canceled,
    an_unknown_job_cannot_be_canceled,
    a_handler_that_does_not_stop_is_revoked_after_the_grace,
    a_job_to_be_canceled_whose_worker_dies_is_canceled,
    a_cancel_and_an_end_at_the_same_time_leave_one_end,
}

const GRACE: Duration = Duration::from_secs(30);

async fn cancel(on: &StoreFixture, id: raincheck_shared::domain::JobId) -> Canceled {
    on.store.jobs.cancel_job(&TenantName::default(), id, Some("no longer needed 🌧"), GRACE).await.expect("cancel")
}

async fn what_waits_is_canceled_at_once(on: &StoreFixture) {
    let (queued, scheduled) = (NewJob { start_by: Some(now() + HOUR), ..job() }, scheduled_job(HOUR));
    let dispatches = accepted(on, vec![queued.clone(), scheduled.clone()]).await;
    let retrying = running(on, job()).await;
    finished(on, &retrying, retry(HOUR)).await;

    for (id, version) in [(queued.id, 2), (scheduled.id, 2), (retrying.id, 4)] {
        let answer = cancel(on, id).await;
        assert_eq!(answer, Canceled::Now(Change { id, version, status: Status::Canceled }));
        let job = find(on, id).await;
        assert_eq!((job.status, job.version, job.next_attempt_at), (Status::Canceled, version, None));
        let cancel_of = job.cancel.expect("the cancel");
        assert_eq!(cancel_of.reason.as_deref(), Some("no longer needed 🌧"));
        assert!(job.finished_at.is_some() && job.expires_at.is_some());
        assert_eq!(cancel_of.acknowledged_at, job.finished_at, "nothing runs that could go on");
        assert_eq!(on.timers_of(id).await, 0);
        assert_eq!(cancel(on, id).await, Canceled::Already);
        assert_eq!(find(on, id).await.version, version, "the second changes nothing");
    }
    let (worker, _life) = worker(on).await;
    assert_eq!(claim(on, worker, dispatches).await, []);
    on.age(2 * HOUR).await;
    assert!(fire(on).await.changes.is_empty());
}

async fn what_runs_is_asked_and_its_worker_told(on: &StoreFixture) {
    let (mut one, mut two) = (running(on, job()).await, running(on, job()).await);
    assert_eq!(one.life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew").orders, []);
    let answer = cancel(on, one.id).await;
    assert_eq!(answer, Canceled::Asked(Change { id: one.id, version: 3, status: Status::InProgress }));
    let job = find(on, one.id).await;
    assert_eq!((job.status, job.version, job.finished_at), (Status::InProgress, 3, None));
    let asked = job.cancel.expect("the cancel");
    assert_eq!((asked.reason.as_deref(), asked.acknowledged_at), (Some("no longer needed 🌧"), None));

    let orders = one.life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew").orders;
    assert_eq!(orders.iter().map(|o| o.job).collect::<Vec<_>>(), [one.id]);
    assert_eq!(
        two.life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew").orders,
        [],
        "only whom it concerns"
    );

    let again =
        on.store.jobs.cancel_job(&TenantName::default(), one.id, Some("another reason"), GRACE).await.expect("cancel");
    assert!(matches!(again, Canceled::Asked(change) if change.id == one.id), "{again:?}");
    let cancel_of = find(on, one.id).await.cancel.expect("the cancel");
    assert_eq!(cancel_of, asked, "the first cancel counts");

    finished(on, &one, Ended::Released).await;
    assert_eq!(
        one.life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew").orders,
        [],
        "nothing is left to tell"
    );
}

async fn what_has_ended_cannot_be_canceled(on: &StoreFixture) {
    let (ok, failed) = (running(on, job()).await, running(on, job()).await);
    let ok = finished(on, &ok, succeeded(b"1")).await;
    let failed = finished(on, &failed, Ended::Failed(failure(1))).await;
    let expired = NewJob { start_by: Some(now() - HOUR), ..job() };
    accepted(on, vec![expired.clone()]).await;
    fire(on).await;
    let expired = find(on, expired.id).await;
    for job in [ok, failed, expired] {
        assert_eq!(cancel(on, job.id).await, Canceled::TooLate);
        assert_eq!(find(on, job.id).await, job);
    }
}

async fn an_unknown_job_cannot_be_canceled(on: &StoreFixture) {
    assert_eq!(cancel(on, IdSource.job()).await, Canceled::Unknown);
}

async fn a_handler_that_does_not_stop_is_revoked_after_the_grace(on: &StoreFixture) {
    let running = running(on, job()).await;
    cancel(on, running.id).await;
    assert!(fire(on).await.changes.is_empty(), "not before the grace is over");
    on.age(GRACE).await;
    let moved = fire(on).await;
    assert_eq!(moved.changes, [Change { id: running.id, version: 4, status: Status::Canceled }]);
    assert_eq!(moved.dispatches, []);
    let job = find(on, running.id).await;
    assert_eq!(job.status, Status::Canceled);
    assert_eq!(job.cancel.as_ref().expect("the cancel").acknowledged_at, None, "we could not prove that it stopped");
    assert_eq!(finish(on, running.ends(succeeded(b"late"))).await, Finished::Fenced);
    assert_eq!(find(on, running.id).await, job);
}

async fn a_job_to_be_canceled_whose_worker_dies_is_canceled(on: &StoreFixture) {
    let running = running(on, job()).await;
    cancel(on, running.id).await;
    on.age(Duration::from_secs(10)).await;
    let moved = rescue_all(on, 5).await;
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].changes, [Change { id: running.id, version: 4, status: Status::Canceled }]);
    assert_eq!(moved[0].dispatches, []);
    assert_eq!(on.timers_of(running.id).await, 0);
    let job = find(on, running.id).await;
    assert_eq!((job.status, job.error), (Status::Canceled, None));
    assert_eq!(job.cancel.expect("the cancel").acknowledged_at, None, "nobody has seen the handler stop");
}

async fn a_cancel_and_an_end_at_the_same_time_leave_one_end(on: &StoreFixture) {
    for _ in 0..10 {
        let running = running(on, job()).await;
        let (answer, ended) = tokio::join!(cancel(on, running.id), finish(on, running.ends(succeeded(b"1"))));
        let job = find(on, running.id).await;
        let Finished::Recorded(change) = ended else { panic!("the end must be recorded, one way or the other") };
        assert_eq!(change.status, job.status);
        match answer {
            Canceled::Asked(_) => assert_eq!(job.status, Status::Canceled),
            Canceled::TooLate => assert_eq!(job.status, Status::Succeeded),
            other => panic!("{other:?}"),
        }
        // A timer that the loser of the race left behind just goes.
        on.age(GRACE).await;
        assert_eq!(fire(on).await.changes, []);
        assert_eq!(on.timers_of(running.id).await, 0);
        assert_eq!(find(on, running.id).await.status, job.status);
    }
}
