//! Leases: how a worker lives, leaves, and tidies up after answers that never arrived.

use raincheck_shared::domain::{Ended, NewJob, Status, TenantName};
use raincheck_shared::store::LeaseError;

use super::against_each_store;
use super::given::{HOUR, accepted, claim, find, finish, finished, job, rescue_all, running, succeeded, worker};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_worker_that_ends_leaves_nothing_behind,
    a_worker_that_has_ended_cannot_renew_or_be_rescued,
    stray_leases_are_dropped_and_their_jobs_given_back,
    a_stray_lease_to_be_canceled_ends_canceled,
    a_stray_claim_of_a_job_whose_earlier_end_is_on_its_way_is_given_back,
}

async fn a_worker_that_ends_leaves_nothing_behind(on: &StoreFixture) {
    let running = running(on, job()).await;
    finished(on, &running, succeeded(b"1")).await;
    running.life.end().await.expect("end");
    assert_eq!((on.count("workers").await, on.count("leases").await), (0, 0));
}

async fn a_worker_that_has_ended_cannot_renew_or_be_rescued(on: &StoreFixture) {
    let (one, life) = worker(on).await;
    let (two, mut other) = worker(on).await;
    assert_ne!(one, two);
    life.end().await.expect("end");
    assert_eq!(on.count("workers").await, 1);
    other.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("the other lives on");
    on.age(HOUR).await;
    assert_eq!(rescue_all(on, 5).await.len(), 1);
    assert!(matches!(other.renew(&raincheck_shared::domain::WorkerReport::default()).await, Err(LeaseError::Lost)));
}

async fn stray_leases_are_dropped_and_their_jobs_given_back(on: &StoreFixture) {
    let dispatches = accepted(on, (0..6).map(|_| NewJob { dispatch_width: 2, ..job() }).collect()).await;
    let (worker, _life) = worker(on).await;
    let mut claims = Vec::new();
    for dispatch in dispatches {
        claims.push(claim(on, worker, vec![dispatch]).await);
    }
    let bystander = running(on, job()).await;
    assert_eq!(on.count("leases").await, 4);

    // The answer of the third claim never arrived; of the second, one job is held all the same.
    let keep = [claims[0][0].lease];
    let held = [claims[0][0].fence, claims[0][1].fence, claims[1][0].fence];
    let mut changes = on.store.attempts.drop_stray_leases(worker, &keep, &held).await.expect("drop strays");
    changes.sort_by_key(|c| c.id);
    let mut given_back = vec![claims[1][1].fence.job, claims[2][0].fence.job, claims[2][1].fence.job];
    given_back.sort_unstable();
    assert_eq!(changes.iter().map(|c| c.id).collect::<Vec<_>>(), given_back);
    for change in changes {
        let job = find(on, change.id).await;
        assert_eq!((job.status, job.attempt, job.version), (Status::Queued, 0, change.version));
        assert_eq!(on.crashes_of(change.id).await, 0);
    }
    for fence in held {
        assert_eq!(find(on, fence.job).await.status, Status::InProgress);
    }
    assert_eq!(find(on, bystander.id).await.status, Status::InProgress);
    assert_eq!(on.count("leases").await, 2);

    // Nobody was handed their dispatches, so any relay may publish them at once.
    let dispatches = on.store.outbox.take_unpublished(10, HOUR).await.expect("take");
    let mut waiting: Vec<_> = dispatches.iter().flat_map(|d| d.jobs.clone()).collect();
    waiting.sort_unstable();
    assert_eq!(waiting, given_back);
    // The claim that came to nothing cannot end what it never held.
    let late = raincheck_shared::store::Finish {
        fence: claims[2][0].fence,
        worker,
        ended: succeeded(b"late"),
        lease_done: None,
    };
    assert_eq!(finish(on, late).await, raincheck_shared::store::Finished::Fenced);
    assert_eq!(on.store.attempts.drop_stray_leases(worker, &keep, &held).await.expect("again"), []);
}

async fn a_stray_lease_to_be_canceled_ends_canceled(on: &StoreFixture) {
    let stray = running(on, job()).await;
    on.store.jobs.cancel_job(&TenantName::default(), stray.id, None, HOUR).await.expect("cancel");
    let changes = on.store.attempts.drop_stray_leases(stray.worker, &[], &[]).await.expect("drop strays");
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].status, Status::Canceled);
    assert_eq!((on.timers_of(stray.id).await, on.count("dispatches").await, on.count("leases").await), (0, 0, 0));
}

/// The answer to a finish was lost, and then that to the next claim of the same job: the worker still holds the first
/// attempt, but nobody holds the second.
async fn a_stray_claim_of_a_job_whose_earlier_end_is_on_its_way_is_given_back(on: &StoreFixture) {
    let first = running(on, job()).await;
    let (kept, worker) = (first.lease, first.worker);
    finished(on, &first, Ended::Released).await;
    let dispatches = on.store.outbox.take_unpublished(10, HOUR).await.expect("take");
    let second = claim(on, worker, dispatches).await;
    assert_ne!(second[0].fence.token, first.fence.token);

    let changes = on.store.attempts.drop_stray_leases(worker, &[kept], &[first.fence]).await.expect("drop strays");
    assert_eq!(
        changes.iter().map(|change| (change.id, change.status)).collect::<Vec<_>>(),
        [(first.id, Status::Queued)]
    );
    assert_eq!(on.store.outbox.take_unpublished(10, HOUR).await.expect("take")[0].jobs, [first.id]);
}
