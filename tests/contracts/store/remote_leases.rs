//! Jobs that are leased: each under an incarnation of its own, by the same fences and rescue as any.

use std::time::Duration;

use raincheck_shared::domain::{Ended, Failure, FailureCode, JobId, NewJob, Status, TenantName, WorkerId};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Canceled, Finish, Finished, LeaseOrder, LeasedJob, RenewedLease, lease_of};

use super::against_each_store;
use super::given::{
    HOUR, TTL, accepted, find, finish, finished, job, kind, now, queue, rescue_all, running, succeeded,
};
use crate::harness::store::StoreFixture;

against_each_store!(
    what_waits_is_leased_each_job_under_an_incarnation_of_its_own,
    two_who_lease_at_once_never_get_the_same_job,
    a_wide_dispatch_keeps_what_is_not_wanted,
    only_the_tenants_own_jobs_of_the_kinds_and_open_queues_are_leased,
    a_large_input_stays_behind,
    a_renewed_lease_lives_and_one_that_is_not_is_rescued,
    nobody_is_judged_by_who_has_just_begun_to_listen,
    an_end_is_recorded_once_and_the_incarnation_goes,
    a_stale_token_finds_no_attempt_and_ends_nothing,
    a_cancel_is_told_with_the_renewal,
    a_release_burns_no_attempt,
    a_run_that_takes_too_long_is_listed_and_no_longer_renewed,
    an_incarnation_that_holds_a_job_is_not_forgotten,
);

pub(super) fn order(limit: usize) -> LeaseOrder {
    LeaseOrder {
        tenant: TenantName::default(),
        name: "contract".to_owned(),
        queues: vec![queue("default"), queue("other")],
        kinds: vec![kind("test.echo")],
        incarnations: (0..limit).map(|_| IdSource.worker()).collect(),
        ttl: TTL,
        inline_limit: 1024,
    }
}

pub(super) async fn lease(on: &StoreFixture, order: LeaseOrder) -> Vec<LeasedJob> {
    on.store.remote_leases.lease_waiting(order).await.expect("lease")
}

/// A job that is leased.
async fn leased(on: &StoreFixture, new: NewJob) -> LeasedJob {
    accepted(on, vec![new]).await;
    let mut leased = lease(on, order(1)).await;
    assert_eq!(leased.len(), 1);
    leased.remove(0)
}

async fn renew(on: &StoreFixture, job: &LeasedJob) -> Option<RenewedLease> {
    let (store, tenant) = (&on.store.remote_leases, TenantName::default());
    store.renew_lease(&tenant, job.fence.job, job.fence.token).await.expect("renew")
}

fn ends(job: &LeasedJob, ended: Ended) -> Finish {
    Finish { fence: job.fence, worker: job.worker, ended, lease_done: Some(lease_of(job.worker)) }
}

async fn forget(on: &StoreFixture, incarnations: &[WorkerId]) {
    on.store.remote_leases.forget_leases(incarnations).await.expect("forget leases");
}

fn ids(jobs: &[LeasedJob]) -> Vec<JobId> {
    jobs.iter().map(|job| job.fence.job).collect()
}

async fn what_waits_is_leased_each_job_under_an_incarnation_of_its_own(on: &StoreFixture) {
    let urgent = NewJob { priority: 9, ..job() };
    let news = vec![job(), job(), urgent.clone()];
    let old = news[0].id;
    accepted(on, news).await;
    let before = now();
    let mut first = lease(on, order(2)).await;
    let mut expected = vec![old, urgent.id];
    expected.sort_unstable();
    assert_eq!(ids(&first), expected, "the more urgent one first, then the older");
    assert_ne!(first[0].worker, first[1].worker);
    assert_ne!(first[0].fence.token, first[1].fence.token);
    assert_eq!((on.count("workers").await, on.count("leases").await, on.count("dispatches").await), (2, 2, 1));
    let leased = first.remove(0);
    let held = find(on, leased.fence.job).await;
    assert_eq!((held.status, held.version, held.attempt), (Status::InProgress, 2, 1));
    assert_eq!((held.worker, leased.version, leased.fence.attempt), (Some(leased.worker), 2, 1));
    assert!(held.heartbeat_at.is_some());
    assert_eq!((leased.input.as_deref(), leased.input_size), (Some(&b"{\"a\":1}"[..]), 7));
    assert_eq!((leased.input_type.as_str(), leased.max_attempts), ("application/json", 3));
    assert!(leased.lease_until > before && leased.run_until > before + Duration::from_secs(50));
    assert_eq!(lease(on, order(5)).await.len(), 1);
    assert_eq!(lease(on, order(5)).await, []);
}

async fn two_who_lease_at_once_never_get_the_same_job(on: &StoreFixture) {
    accepted(on, (0..40).map(|_| job()).collect()).await;
    let mut all = Vec::new();
    while all.len() < 40 {
        let turns = (0..4).map(|_| lease(on, order(3)));
        let got: Vec<JobId> = futures_util::future::join_all(turns).await.iter().flat_map(|jobs| ids(jobs)).collect();
        assert!(!got.is_empty(), "something waits, and nobody got any of it");
        all.extend(got);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40);
}

async fn a_wide_dispatch_keeps_what_is_not_wanted(on: &StoreFixture) {
    let wide: Vec<NewJob> = (0..5).map(|_| NewJob { dispatch_width: 8, ..job() }).collect();
    let expected: Vec<JobId> = wide.iter().map(|job| job.id).collect();
    assert_eq!(accepted(on, wide).await.len(), 1);
    let mut got = ids(&lease(on, order(2)).await);
    assert_eq!(got, expected[..2]);
    got.extend(ids(&lease(on, order(2)).await));
    got.extend(ids(&lease(on, order(2)).await));
    assert_eq!(got, expected);
    assert_eq!(on.count("dispatches").await, 0);
}

async fn only_the_tenants_own_jobs_of_the_kinds_and_open_queues_are_leased(on: &StoreFixture) {
    let tenant: TenantName = "theirs".parse().expect("a tenant");
    let theirs = NewJob { tenant: tenant.clone(), ..job() };
    let another_kind = NewJob { kind: kind("test.other"), ..job() };
    let elsewhere = NewJob { queue: queue("elsewhere"), ..job() };
    let paused = NewJob { queue: queue("other"), ..job() };
    let news = vec![theirs.clone(), another_kind, elsewhere, paused.clone()];
    accepted(on, news).await;
    on.store.queues.pause_queue(&queue("other")).await.expect("pause");
    let known = [queue("default"), queue("other")];
    let wanted = [(TenantName::default(), kind("test.echo")), (tenant.clone(), kind("test.echo"))];
    let waiting = on.store.remote_leases.find_waiting_kinds(&wanted, &known).await.expect("look");
    assert_eq!(waiting, [(tenant.clone(), kind("test.echo"))]);
    assert_eq!(lease(on, order(9)).await, [], "nothing of mine");
    let got = lease(on, LeaseOrder { tenant: tenant.clone(), ..order(9) }).await;
    assert_eq!(ids(&got), [theirs.id]);
    assert_eq!(renew(on, &got[0]).await, None, "another tenant does not renew it");
    let LeasedJob { fence, .. } = got[0];
    assert!(on.store.remote_leases.renew_lease(&tenant, fence.job, fence.token).await.expect("renew").is_some());

    on.store.queues.resume_queue(&queue("other")).await.expect("resume");
    let waiting = on.store.remote_leases.find_waiting_kinds(&wanted, &known).await.expect("look");
    assert_eq!(waiting, [(TenantName::default(), kind("test.echo"))]);
    assert_eq!(ids(&lease(on, order(9)).await), [paused.id]);
}

async fn a_large_input_stays_behind(on: &StoreFixture) {
    accepted(on, vec![job()]).await;
    let leased = lease(on, LeaseOrder { inline_limit: 6, ..order(1) }).await;
    assert_eq!((leased[0].input.as_deref(), leased[0].input_size), (None, 7));
}

async fn a_renewed_lease_lives_and_one_that_is_not_is_rescued(on: &StoreFixture) {
    let long = || NewJob { run_timeout: 100 * HOUR, ..job() };
    let (alive, dead) = (leased(on, long()).await, leased(on, long()).await);
    on.age(2 * TTL).await;
    let renewed = renew(on, &alive).await.expect("late, but nobody has taken it");
    assert_eq!((renewed.fence, renewed.worker, renewed.cancel_requested), (alive.fence, alive.worker, false));
    let moved = rescue_all(on, 5).await;
    assert_eq!(moved.len(), 1);
    assert_eq!((moved[0].changes[0].id, moved[0].changes[0].status), (dead.fence.job, Status::Queued));
    assert_eq!(find(on, alive.fence.job).await.status, Status::InProgress);
    assert_eq!((find(on, dead.fence.job).await.attempt, on.crashes_of(dead.fence.job).await), (0, 1));
    assert_eq!(renew(on, &dead).await, None);
    assert_eq!((on.count("workers").await, on.count("leases").await), (1, 1));
    let again = lease(on, order(1)).await;
    assert_eq!((ids(&again), again[0].fence.attempt), (vec![dead.fence.job], 1));
    assert_eq!(finish(on, ends(&dead, succeeded(b"1"))).await, Finished::Fenced);
    assert_eq!(on.count("leases").await, 2, "what a stale worker ends is not the lease of another");
}

async fn nobody_is_judged_by_who_has_just_begun_to_listen(on: &StoreFixture) {
    let held = leased(on, job()).await;
    on.age(HOUR / 60).await;
    let just_begun = Duration::from_millis(1);
    let rescued = on.store.upkeep.rescue_dead_worker(5, Some(HOUR), just_begun).await.expect("rescue");
    assert_eq!(rescued, None);
    assert_eq!(find(on, held.fence.job).await.status, Status::InProgress);
    assert_eq!(rescue_all(on, 5).await.len(), 1);
}

async fn an_end_is_recorded_once_and_the_incarnation_goes(on: &StoreFixture) {
    let held = leased(on, job()).await;
    let Finished::Recorded(first) = finish(on, ends(&held, succeeded(b"{}"))).await else { panic!("it is theirs") };
    let done = find(on, held.fence.job).await;
    assert_eq!((done.status, done.version), (Status::Succeeded, 3));
    assert_eq!(finish(on, ends(&held, succeeded(b"{}"))).await, Finished::Before(first), "sent twice");
    let found = on.store.attempts.find_attempt(held.fence.job, held.fence.token).await.expect("find").expect("found");
    assert_eq!((found.status, found.worker, found.fence), (Status::Succeeded, held.worker, held.fence));
    assert_eq!(found.result_digest, Some([7; 32]));
    forget(on, &[held.worker]).await;
    assert_eq!((on.count("workers").await, on.count("leases").await), (0, 0));
    assert_eq!(renew(on, &held).await, None);
}

async fn a_stale_token_finds_no_attempt_and_ends_nothing(on: &StoreFixture) {
    let held = leased(on, job()).await;
    let found = on.store.attempts.find_attempt(held.fence.job, IdSource.random()).await.expect("find");
    assert_eq!(found, None);
    let found = on.store.attempts.find_attempt(held.fence.job, held.fence.token).await.expect("find").expect("found");
    assert_eq!((found.fence, found.status, found.result_digest), (held.fence, Status::InProgress, None));
    on.age(HOUR / 100).await;
    rescue_all(on, 5).await;
    assert_eq!(on.store.attempts.find_attempt(held.fence.job, held.fence.token).await.expect("find"), None);
    assert_eq!(finish(on, ends(&held, succeeded(b"{}"))).await, Finished::Fenced);
    assert_eq!(find(on, held.fence.job).await.status, Status::Queued);
}

async fn a_cancel_is_told_with_the_renewal(on: &StoreFixture) {
    let held = leased(on, job()).await;
    let asked = on.store.jobs.cancel_job(&TenantName::default(), held.fence.job, Some("enough"), HOUR).await;
    assert!(matches!(asked, Ok(Canceled::Asked(_))), "{asked:?}");
    let renewed = renew(on, &held).await.expect("it goes on");
    assert_eq!((renewed.cancel_requested, renewed.cancel_reason.as_deref()), (true, Some("enough")));
    finish(on, ends(&held, succeeded(b"{}"))).await;
    let canceled = find(on, held.fence.job).await;
    assert_eq!((canceled.status, canceled.result), (Status::Canceled, None));
    assert_eq!(on.timers_of(held.fence.job).await, 0);
}

async fn a_release_burns_no_attempt(on: &StoreFixture) {
    let held = leased(on, job()).await;
    finish(on, ends(&held, Ended::Released)).await;
    forget(on, &[held.worker]).await;
    let waiting = find(on, held.fence.job).await;
    assert_eq!((waiting.status, waiting.attempt), (Status::Queued, 0));
    assert_eq!(on.crashes_of(held.fence.job).await, 0);
    let again = lease(on, order(1)).await;
    assert_eq!(again[0].fence.attempt, 1);
    assert_ne!(again[0].fence.token, held.fence.token);
}

async fn a_run_that_takes_too_long_is_listed_and_no_longer_renewed(on: &StoreFixture) {
    let minute = HOUR / 60;
    let short = NewJob { run_timeout: minute, ..job() };
    let held = leased(on, short).await;
    let _ordinary = running(on, job()).await;
    let overdue = async || on.store.remote_leases.list_overdue_runs(10).await.expect("list");
    assert_eq!(overdue().await, []);
    on.age(2 * minute).await;
    let runs = overdue().await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].fence, runs[0].worker, runs[0].run_timeout), (held.fence, held.worker, minute));
    assert_eq!((&runs[0].kind, runs[0].max_attempts), (&kind("test.echo"), 3));
    assert_eq!(renew(on, &held).await, None);
    let error = Failure::new(FailureCode::RunTimeout, "too long", true, 1);
    finish(on, ends(&held, Ended::Retry { error, delay: HOUR })).await;
    assert_eq!(overdue().await, []);
    assert_eq!(find(on, held.fence.job).await.status, Status::Retrying);
}

async fn an_incarnation_that_holds_a_job_is_not_forgotten(on: &StoreFixture) {
    let held = leased(on, job()).await;
    let ordinary = running(on, job()).await;
    finished(on, &ordinary, succeeded(b"{}")).await;
    forget(on, &[held.worker, ordinary.worker, IdSource.worker()]).await;
    assert!(renew(on, &held).await.is_some());
    assert_eq!(on.count("workers").await, 2, "an ordinary worker ends itself");
}
