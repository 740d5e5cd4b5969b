//! Tenants: each has its own jobs, keys and dispatches.

use raincheck_shared::domain::{Band, Ended, NewJob, Status, TenantName};
use raincheck_shared::store::{Accepted, Canceled, JobFilter};

use super::against_each_store;
use super::given::{
    DAY, HOUR, accepted, claim, find, finished, fire, job, keyed_job, queue, rescue_all, retry, running, scheduled_job,
    succeeded, worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_job_is_its_tenants_from_its_acceptance_to_its_handler,
    the_same_key_of_another_tenant_is_another_key,
    equal_keys_of_two_tenants_in_one_batch_are_two_jobs,
    a_key_of_one_tenant_is_free_again_while_the_other_holds_its_own,
    a_list_shows_one_tenants_jobs_however_many_others_have,
    nobody_cancels_another_tenants_job,
    no_dispatch_holds_jobs_of_two_tenants,
    depths_tell_whose_jobs_wait,
    jobs_of_the_express_band_wait_in_it_whenever_they_wait,
}

fn tenant(name: &str) -> TenantName {
    name.parse().expect("a tenant's name")
}

fn of(name: &str, new: NewJob) -> NewJob {
    NewJob { tenant: tenant(name), ..new }
}

fn filter(name: &str) -> JobFilter {
    JobFilter { tenant: tenant(name), ..JobFilter::default() }
}

async fn a_job_is_its_tenants_from_its_acceptance_to_its_handler(on: &StoreFixture) {
    let (plain, acme) = (job(), of("acme", job()));
    let dispatches = accepted(on, vec![plain.clone(), acme.clone()]).await;
    let (worker, _life) = worker(on).await;
    let claimed = claim(on, worker, dispatches).await;
    for (id, name) in [(plain.id, "default"), (acme.id, "acme")] {
        assert_eq!(find(on, id).await.tenant, tenant(name));
        assert_eq!(claimed.iter().find(|c| c.fence.job == id).expect("claimed").tenant, tenant(name));
    }
}

async fn the_same_key_of_another_tenant_is_another_key(on: &StoreFixture) {
    let (first, other) = (of("a", keyed_job("k", 1)), of("b", keyed_job("k", 2)));
    accepted(on, vec![first.clone()]).await;
    accepted(on, vec![other.clone()]).await;
    accepted(on, vec![keyed_job("k", 3)]).await;
    for (name, id, fingerprint) in [("a", first.id, 1), ("b", other.id, 2)] {
        let again = on.store.jobs.accept(vec![of(name, keyed_job("k", 9))]).await.answers.remove(0).expect("an answer");
        let known = raincheck_shared::domain::Fingerprint([fingerprint; 32]);
        assert_eq!(again, Accepted::Known { first: id, fingerprint: known });
        let by_key = JobFilter { idempotency_key: Some("k".to_owned()), ..filter(name) };
        let page = on.store.jobs.list_jobs(&by_key, None, 10).await.expect("list");
        assert_eq!(page.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
    }
    let by_key = JobFilter { idempotency_key: Some("k".to_owned()), ..filter("nobody") };
    assert!(on.store.jobs.list_jobs(&by_key, None, 10).await.expect("list").jobs.is_empty());
}

async fn equal_keys_of_two_tenants_in_one_batch_are_two_jobs(on: &StoreFixture) {
    let batch = vec![of("a", keyed_job("k", 1)), of("b", keyed_job("k", 1)), of("a", keyed_job("k", 1))];
    let ids: Vec<_> = batch.iter().map(|job| job.id).collect();
    let answers = on.store.jobs.accept(batch).await.answers;
    assert!(matches!(answers[0], Ok(Accepted::New { id, .. }) if id == ids[0]), "{answers:?}");
    assert!(matches!(answers[1], Ok(Accepted::New { id, .. }) if id == ids[1]), "{answers:?}");
    assert!(matches!(answers[2], Ok(Accepted::Known { first, .. }) if first == ids[0]), "{answers:?}");
}

async fn a_key_of_one_tenant_is_free_again_while_the_other_holds_its_own(on: &StoreFixture) {
    let brief = running(on, of("a", NewJob { retention: HOUR, ..keyed_job("k", 1) })).await;
    finished(on, &brief, succeeded(b"1")).await;
    let holder = of("b", keyed_job("k", 1));
    accepted(on, vec![holder.clone()]).await;
    on.age(2 * DAY).await;
    accepted(on, vec![of("a", keyed_job("k", 2))]).await;
    let again = on.store.jobs.accept(vec![of("b", keyed_job("k", 1))]).await.answers.remove(0);
    assert!(matches!(again, Ok(Accepted::Known { first, .. }) if first == holder.id), "{again:?}");
    while on.store.upkeep.remove_expired().await.expect("retention") {}
    assert_eq!(on.count("idempotency_keys").await, 2, "each tenant has its key");
}

async fn a_list_shows_one_tenants_jobs_however_many_others_have(on: &StoreFixture) {
    let ours: Vec<NewJob> = (0..3).map(|_| of("a", job())).collect();
    accepted(on, ours.clone()).await;
    accepted(on, (0..200).map(|_| of("b", NewJob { dispatch_width: 64, ..job() })).collect()).await;
    let newest = of("a", job());
    accepted(on, vec![newest.clone()]).await;

    let page = on.store.jobs.list_jobs(&filter("a"), None, 10).await.expect("list");
    let expected: Vec<_> = [newest.id].into_iter().chain(ours.iter().rev().map(|job| job.id)).collect();
    assert_eq!(page.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
    assert_eq!(page.next, None);
    let page = on.store.jobs.list_jobs(&filter("b"), None, 10).await.expect("list");
    assert_eq!((page.jobs.len(), page.next), (10, page.jobs.last().map(|job| job.id)));
    let page = on.store.jobs.list_jobs(&filter("c"), None, 10).await.expect("list");
    assert_eq!((page.jobs.len(), page.next), (0, None));
}

async fn nobody_cancels_another_tenants_job(on: &StoreFixture) {
    let waiting = of("a", job());
    accepted(on, vec![waiting.clone()]).await;
    let busy = running(on, of("a", job())).await;
    for id in [waiting.id, busy.id] {
        let before = find(on, id).await;
        for other in ["b", "default"] {
            let answer = on.store.jobs.cancel_job(&tenant(other), id, Some("mine"), HOUR).await.expect("cancel");
            assert_eq!(answer, Canceled::Unknown);
        }
        assert_eq!(find(on, id).await, before);
        assert_eq!(on.timers_of(id).await, 0);
    }
    let answer = on.store.jobs.cancel_job(&tenant("a"), waiting.id, None, HOUR).await.expect("cancel");
    assert!(matches!(answer, Canceled::Now(_)), "{answer:?}");
}

async fn no_dispatch_holds_jobs_of_two_tenants(on: &StoreFixture) {
    let wide = |name| of(name, NewJob { dispatch_width: 8, ..job() });
    let dispatches = accepted(on, (0..6).map(|n| wide(["default", "a", "b"][n % 3])).collect()).await;
    assert_eq!(dispatches.iter().map(|d| d.jobs.len()).collect::<Vec<_>>(), [2, 2, 2]);

    let later = |name| of(name, NewJob { dispatch_width: 8, ..scheduled_job(HOUR) });
    accepted(on, (0..6).map(|n| later(["default", "a", "b"][n % 3])).collect()).await;
    on.age(2 * HOUR).await;
    let fired = fire(on).await;
    assert_eq!(fired.dispatches.iter().map(|d| d.jobs.len()).collect::<Vec<_>>(), [2, 2, 2]);
}

async fn depths_tell_whose_jobs_wait(on: &StoreFixture) {
    let other = |name| of(name, NewJob { queue: queue("other"), ..job() });
    accepted(on, vec![job(), job(), of("a", job()), other("a"), other("b"), other("b")]).await;
    let mut depths = on.store.outbox.depths(&[]).await.expect("depths");
    depths.sort_by(|a, b| a.queue.cmp(&b.queue));
    let told: Vec<_> = depths
        .into_iter()
        .map(|mut depth| {
            depth.of_tenants.sort();
            (depth.queue, depth.jobs, depth.of_tenants)
        })
        .collect();
    let (a, b, default) = (tenant("a"), tenant("b"), TenantName::default());
    let expected =
        [(queue("default"), 3, vec![(a.clone(), 1), (default, 2)]), (queue("other"), 3, vec![(a, 1), (b, 2)])];
    assert_eq!(told, expected);
}

async fn jobs_of_the_express_band_wait_in_it_whenever_they_wait(on: &StoreFixture) {
    let express = |new| of("a", NewJob { express: true, priority: 1, ..new });
    let new = express(job());
    let dispatches = accepted(on, vec![new.clone()]).await;
    assert_eq!(dispatches[0].band, Band::Express);

    let (first, _life) = worker(on).await;
    claim(on, first, dispatches).await;
    on.age(HOUR).await;
    let rescued = rescue_all(on, 5).await;
    let again: Vec<_> = rescued.into_iter().flat_map(|moved| moved.dispatches).collect();
    assert_eq!(again.iter().map(|d| d.band).collect::<Vec<_>>(), [Band::Express]);

    let (second, _life) = worker(on).await;
    let claimed = claim(on, second, again).await.remove(0);
    let end = |ended| raincheck_shared::store::Finish { fence: claimed.fence, worker: second, ended, lease_done: None };
    on.store.attempts.finish(&[end(retry(HOUR))]).await.expect("finish");
    on.age(2 * HOUR).await;
    let fired = fire(on).await.dispatches;
    assert_eq!(fired.iter().map(|d| d.band).collect::<Vec<_>>(), [Band::Express]);

    let third = super::given::running_again(on, new.id, fired).await;
    assert_eq!(finished(on, &third, Ended::Released).await.status, Status::Queued);
    let depths = on.store.outbox.depths(&[]).await.expect("depths");
    assert_eq!(depths.iter().map(|d| (d.band, d.jobs)).collect::<Vec<_>>(), [(Band::Express, 1)]);
}
