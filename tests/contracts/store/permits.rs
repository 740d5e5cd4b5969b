//! Permits: what needs them waits in line, no limit is passed, and whatever ends a run gives its permits back.

use std::time::Duration;

use raincheck_shared::domain::{Dispatch, Ended, FlowRules, JobId, KindLimits, NewJob, Rate, Status, Turnstile};
use raincheck_shared::store::{Canceled, LetGo, Look};

use super::against_each_store;
use super::given::{
    DAY, HOUR, TTL, accepted, claim, find, finish, finished, fire, job, queue, rescue_all, retry, running_again,
    succeeded, worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_job_that_needs_no_permit_leaves_no_trace_of_any,
    as_many_are_let_through_as_the_limit_allows_and_one_for_each_that_ends,
    every_way_in_which_a_run_ends_gives_its_permit_back,
    a_job_that_runs_again_waits_in_line_again,
    jobs_that_are_given_back_or_rescued_wait_in_line_again,
    a_job_that_was_let_through_and_never_started_gives_its_permit_back,
    canceled_and_expired_jobs_leave_the_line_and_hold_up_nobody,
    a_full_line_holds_up_no_other,
    a_job_needs_a_permit_of_each_of_its_limits,
    no_more_start_in_any_period_than_the_rate_says,
    a_start_counts_for_its_period_also_when_its_job_is_gone,
    a_start_that_nobody_looked_at_counts_when_its_job_is_removed,
    a_permit_whose_job_is_gone_counts_for_a_period_since_it_was_given,
    looks_at_the_same_time_give_no_permit_twice,
    every_line_is_looked_at_however_few_at_a_time,
    a_paused_queue_takes_no_permits,
    jobs_in_line_are_counted_as_waiting,
    permits_that_count_no_more_are_forgotten,
}

fn limited(limits: KindLimits) -> FlowRules {
    FlowRules { kinds: [(job().kind, limits)].into(), ..FlowRules::default() }
}

fn at_once(jobs: u32) -> FlowRules {
    limited(KindLimits { concurrent_jobs: Some(jobs), ..KindLimits::default() })
}

/// A job as it would be accepted under these rules.
fn under(rules: &FlowRules, new: NewJob) -> NewJob {
    let line = rules.line_of(&new.tenant, &new.kind, &new.queue, new.concurrency_key.as_deref());
    NewJob { line, ..new }
}

fn keyed(rules: &FlowRules, key: &str) -> NewJob {
    under(rules, NewJob { concurrency_key: Some(key.to_owned()), ..job() })
}

/// Keeps them; they wait in line, and nowhere else. Answers their ids.
async fn parked(on: &StoreFixture, jobs: Vec<NewJob>) -> Vec<JobId> {
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(accepted(on, jobs).await, [], "it was dispatched without a permit");
    for id in &ids {
        assert_eq!(find(on, *id).await.status, Status::Queued);
    }
    ids
}

async fn look(on: &StoreFixture, rules: &FlowRules) -> LetGo {
    let look = Look { lines: 100, ..Look::default() };
    on.store.permits.let_through(rules, &mut Turnstile::default(), &look).await.expect("a look")
}

fn ids(dispatches: &[Dispatch]) -> Vec<JobId> {
    let mut ids: Vec<JobId> = dispatches.iter().flat_map(|dispatch| dispatch.jobs.clone()).collect();
    ids.sort_unstable();
    ids
}

async fn a_job_that_needs_no_permit_leaves_no_trace_of_any(on: &StoreFixture) {
    let rules = limited(KindLimits { concurrent_per_key: Some(1), ..KindLimits::default() });
    let plain = under(&rules, job());
    assert_eq!(plain.line, None);
    let dispatches = accepted(on, vec![plain.clone()]).await;
    let run = running_again(on, plain.id, dispatches).await;
    assert!(!look(on, &rules).await.any_parked);
    finished(on, &run, Ended::Released).await;
    assert_eq!((on.count("parked_jobs").await, on.count("permits").await), (0, 0));
    assert_eq!(on.count("dispatches").await, 1);
}

async fn as_many_are_let_through_as_the_limit_allows_and_one_for_each_that_ends(on: &StoreFixture) {
    let rules = at_once(2);
    let jobs = parked(on, (0..5).map(|_| under(&rules, job())).collect()).await;
    let let_go = look(on, &rules).await;
    assert!(let_go.any_parked && let_go.moved);
    assert_eq!(ids(&let_go.dispatches), jobs[..2]);
    assert_eq!(let_go.jobs.iter().map(|(id, _)| *id).collect::<Vec<_>>(), jobs[..2]);
    let again = look(on, &rules).await;
    assert!(again.any_parked && !again.moved && again.dispatches.is_empty());

    let (worker, _life) = worker(on).await;
    let claimed = claim(on, worker, let_go.dispatches).await;
    assert_eq!(claimed.len(), 2);
    assert!(look(on, &rules).await.dispatches.is_empty(), "they run");
    let end = |n: usize| raincheck_shared::store::Finish {
        fence: claimed[n].fence,
        worker,
        ended: succeeded(b"1"),
        lease_done: None,
    };
    finish(on, end(0)).await;
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[2..3]);
    assert_eq!(ids(&look(on, &rules).await.dispatches), []);
}

async fn every_way_in_which_a_run_ends_gives_its_permit_back(on: &StoreFixture) {
    let rules = at_once(1);
    let ends = [succeeded(b"1"), Ended::Failed(super::given::failure(1)), retry(HOUR), Ended::Snoozed(HOUR)];
    for ended in ends {
        let jobs = parked(on, vec![under(&rules, job()), under(&rules, job())]).await;
        let first = look(on, &rules).await.dispatches;
        assert_eq!(ids(&first), jobs[..1], "{ended:?}");
        let run = running_again(on, jobs[0], first).await;
        finished(on, &run, ended).await;
        let second = look(on, &rules).await.dispatches;
        assert_eq!(ids(&second), jobs[1..]);
        finished(on, &running_again(on, jobs[1], second).await, succeeded(b"1")).await;
    }
}

async fn a_job_that_runs_again_waits_in_line_again(on: &StoreFixture) {
    let rules = at_once(1);
    let jobs = parked(on, vec![under(&rules, job()), under(&rules, job())]).await;
    let run = running_again(on, jobs[0], look(on, &rules).await.dispatches).await;
    finished(on, &run, retry(Duration::ZERO)).await;
    let second = look(on, &rules).await.dispatches;
    on.age(HOUR).await;
    let moved = fire(on).await;
    assert_eq!((moved.changes[0].status, moved.dispatches.len()), (Status::Queued, 0));
    assert!(look(on, &rules).await.dispatches.is_empty(), "the other has the permit");
    finished(on, &running_again(on, jobs[1], second).await, succeeded(b"1")).await;
    let third = look(on, &rules).await.dispatches;
    let job = finished(on, &running_again(on, jobs[0], third).await, succeeded(b"1")).await;
    assert_eq!((job.status, job.attempt), (Status::Succeeded, 2));
}

async fn jobs_that_are_given_back_or_rescued_wait_in_line_again(on: &StoreFixture) {
    let rules = at_once(1);
    let jobs = parked(on, vec![under(&rules, job()), under(&rules, job())]).await;
    let run = running_again(on, jobs[0], look(on, &rules).await.dispatches).await;
    finished(on, &run, Ended::Released).await;
    assert_eq!((on.count("parked_jobs").await, on.count("dispatches").await), (2, 0));
    // The one that was given back is the older one: it goes first again.
    let run = running_again(on, jobs[0], look(on, &rules).await.dispatches).await;
    on.age(TTL * 10).await;
    let rescued = rescue_all(on, 5).await;
    assert!(rescued.iter().all(|moved| moved.dispatches.is_empty()), "{rescued:?}");
    assert_eq!((find(on, jobs[0]).await.status, on.count("parked_jobs").await), (Status::Queued, 2));
    drop(run);
    // A claim whose answer was lost.
    let (worker, _life) = worker(on).await;
    let first = look(on, &rules).await.dispatches;
    assert_eq!(claim(on, worker, first).await.len(), 1);
    assert!(look(on, &rules).await.dispatches.is_empty());
    let back = on.store.attempts.drop_stray_leases(worker, &[], &[]).await.expect("strays");
    assert_eq!((back.len(), on.count("parked_jobs").await), (1, 2));
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[..1]);
}

async fn a_job_that_was_let_through_and_never_started_gives_its_permit_back(on: &StoreFixture) {
    let rules = at_once(1);
    let first = under(&rules, job());
    let expiring = under(&rules, NewJob { start_by: Some(super::given::now() + HOUR), ..job() });
    let jobs = parked(on, vec![first, expiring, under(&rules, job())]).await;
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[..1]);
    let tenant = job().tenant;
    let canceled = on.store.jobs.cancel_job(&tenant, jobs[0], None, HOUR).await.expect("cancel");
    assert!(matches!(canceled, Canceled::Now(_)));
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[1..2]);
    on.age(2 * HOUR).await;
    fire(on).await;
    assert_eq!(find(on, jobs[1]).await.status, Status::Expired);
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[2..]);
}

async fn canceled_and_expired_jobs_leave_the_line_and_hold_up_nobody(on: &StoreFixture) {
    let rules = at_once(1);
    let first = under(&rules, job());
    let expiring = under(&rules, NewJob { start_by: Some(super::given::now() + HOUR), ..job() });
    let jobs = parked(on, vec![first, expiring, under(&rules, job())]).await;
    on.store.jobs.cancel_job(&job().tenant, jobs[0], None, HOUR).await.expect("cancel");
    on.age(2 * HOUR).await;
    assert_eq!(fire(on).await.changes.len(), 1);
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[2..]);
    assert_eq!(on.count("parked_jobs").await, 0);
}

async fn a_full_line_holds_up_no_other(on: &StoreFixture) {
    let rules = limited(KindLimits { concurrent_per_key: Some(1), ..KindLimits::default() });
    let flood = parked(on, (0..200).map(|_| keyed(&rules, "a")).collect()).await;
    let other = parked(on, vec![keyed(&rules, "b")]).await;
    let mut expected = vec![flood[0], other[0]];
    expected.sort_unstable();
    assert_eq!(ids(&look(on, &rules).await.dispatches), expected);
}

async fn a_job_needs_a_permit_of_each_of_its_limits(on: &StoreFixture) {
    let limits = KindLimits { concurrent_jobs: Some(2), concurrent_per_key: Some(1), ..KindLimits::default() };
    let rules = FlowRules { each_tenant: Some(10), ..limited(limits) };
    let keys = ["a", "a", "b", "c"];
    let jobs = parked(on, keys.map(|key| keyed(&rules, key)).to_vec()).await;
    assert_eq!(ids(&look(on, &rules).await.dispatches), [jobs[0], jobs[2]], "one of each key, two in all");
    let rules = FlowRules { each_tenant: Some(2), ..FlowRules::default() };
    let other = parked(on, vec![under(&rules, job())]).await;
    assert!(look(on, &rules).await.dispatches.iter().all(|d| !d.jobs.contains(&other[0])), "two of the tenant's run");
}

async fn no_more_start_in_any_period_than_the_rate_says(on: &StoreFixture) {
    let rate = Rate { starts: 3, period: Duration::from_mins(1) };
    let rules = limited(KindLimits { rate: Some(rate), ..KindLimits::default() });
    let jobs = parked(on, (0..8).map(|_| under(&rules, job())).collect()).await;
    let first = look(on, &rules).await;
    assert_eq!(ids(&first.dispatches), jobs[..3]);
    // They wait for a worker, for however long: more that are let through could start together with them.
    on.age(5 * rate.period).await;
    assert!(look(on, &rules).await.dispatches.is_empty());

    let (worker, _life) = worker(on).await;
    let claimed = claim(on, worker, first.dispatches).await;
    for run in &claimed {
        let (fence, ended) = (run.fence, succeeded(b"1"));
        finish(on, raincheck_shared::store::Finish { fence, worker, ended, lease_done: None }).await;
    }
    let wait = look(on, &rules).await;
    assert!(wait.dispatches.is_empty(), "they have just started");
    let soonest = wait.soonest.expect("it is known when");
    assert!(soonest > rate.period / 2 && soonest <= rate.period, "{soonest:?}");
    on.age(rate.period).await;
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[3..6]);
}

async fn a_start_counts_for_its_period_also_when_its_job_is_gone(on: &StoreFixture) {
    let rate = Rate { starts: 1, period: DAY };
    let rules = limited(KindLimits { rate: Some(rate), ..KindLimits::default() });
    let jobs = parked(on, (0..2).map(|_| under(&rules, job())).collect()).await;
    let first = look(on, &rules).await.dispatches;
    finished(on, &running_again(on, jobs[0], first).await, succeeded(b"1")).await;
    assert!(look(on, &rules).await.dispatches.is_empty(), "it has just started");
    // From now on nothing is looked for but the time.
    on.run("DELETE FROM jobs WHERE started_at IS NOT NULL".to_owned()).await;
    on.age(23 * HOUR).await;
    assert!(look(on, &rules).await.dispatches.is_empty(), "within its day");
    on.age(HOUR).await;
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[1..]);
}

async fn a_start_that_nobody_looked_at_counts_when_its_job_is_removed(on: &StoreFixture) {
    let rules = limited(KindLimits { rate: Some(Rate { starts: 1, period: DAY }), ..KindLimits::default() });
    let jobs = parked(on, (0..2).map(|_| under(&rules, NewJob { retention: HOUR, ..job() })).collect()).await;
    let first = look(on, &rules).await.dispatches;
    // It waits for a worker for a while.
    on.age(10 * HOUR).await;
    finished(on, &running_again(on, jobs[0], first).await, succeeded(b"1")).await;
    on.age(2 * HOUR).await;
    // As retention does it.
    on.store.permits.forget_permits().await.expect("forget");
    on.run("DELETE FROM jobs WHERE started_at IS NOT NULL".to_owned()).await;
    on.age(21 * HOUR).await;
    on.store.permits.forget_permits().await.expect("forget");
    assert!(look(on, &rules).await.dispatches.is_empty(), "within a day of its start");
    on.age(HOUR).await;
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[1..]);
}

async fn a_permit_whose_job_is_gone_counts_for_a_period_since_it_was_given(on: &StoreFixture) {
    let rate = Some(Rate { starts: 1, period: DAY });
    let rules = limited(KindLimits { concurrent_jobs: Some(1), rate, ..KindLimits::default() });
    let jobs = parked(on, (0..2).map(|_| under(&rules, job())).collect()).await;
    let first = look(on, &rules).await.dispatches;
    finished(on, &running_again(on, jobs[0], first).await, succeeded(b"1")).await;
    on.run("DELETE FROM jobs WHERE started_at IS NOT NULL".to_owned()).await;
    on.age(23 * HOUR).await;
    on.store.permits.forget_permits().await.expect("forget");
    assert_eq!(on.count("permits").await, 1, "that of what runs is gone");
    assert!(look(on, &rules).await.dispatches.is_empty(), "it may have started within its day");
    on.age(HOUR).await;
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[1..]);
}

async fn looks_at_the_same_time_give_no_permit_twice(on: &StoreFixture) {
    let rules = at_once(5);
    parked(on, (0..60).map(|_| under(&rules, job())).collect()).await;
    let looks = futures_util::future::join_all((0..8).map(|_| look(on, &rules))).await;
    let let_through: usize = looks.iter().map(|look| look.jobs.len()).sum();
    assert_eq!((let_through, on.count("permits").await), (5, 5));
}

async fn every_line_is_looked_at_however_few_at_a_time(on: &StoreFixture) {
    let rules = limited(KindLimits { concurrent_per_key: Some(1), ..KindLimits::default() });
    let keys = ["a", "b", "c", "d", "e"];
    let jobs = parked(on, keys.map(|key| keyed(&rules, key)).to_vec()).await;
    let mut turnstile = Turnstile::default();
    let mut look = Look { lines: 2, ..Look::default() };
    let mut seen = Vec::new();
    loop {
        let let_go = on.store.permits.let_through(&rules, &mut turnstile, &look).await.expect("a look");
        assert!(let_go.jobs.len() <= 2);
        seen.extend(ids(&let_go.dispatches));
        let Some(next) = let_go.next else { break };
        look.after = next;
    }
    seen.sort_unstable();
    assert_eq!(seen, jobs);
    // A line that is named is looked at wherever the round has come to.
    let more = parked(on, vec![keyed(&rules, "z")]).await;
    let first = vec![keyed(&rules, "z").line.expect("a line")];
    let named = Look { first, after: String::new(), lines: 0 };
    let let_go = on.store.permits.let_through(&rules, &mut turnstile, &named).await.expect("a look");
    assert_eq!(ids(&let_go.dispatches), more);
}

async fn a_paused_queue_takes_no_permits(on: &StoreFixture) {
    let rules = at_once(1);
    let slow = under(&rules, NewJob { queue: queue("slow"), ..job() });
    let jobs = parked(on, vec![slow, under(&rules, job())]).await;
    on.store.queues.pause_queue(&queue("slow")).await.expect("pause");
    let let_go = look(on, &rules).await.dispatches;
    assert_eq!(ids(&let_go), jobs[1..]);
    finished(on, &running_again(on, jobs[1], let_go).await, succeeded(b"1")).await;
    assert!(look(on, &rules).await.dispatches.is_empty());
    on.store.queues.resume_queue(&queue("slow")).await.expect("resume");
    assert_eq!(ids(&look(on, &rules).await.dispatches), jobs[..1]);
}

async fn jobs_in_line_are_counted_as_waiting(on: &StoreFixture) {
    let rules = at_once(1);
    let jobs = parked(on, (0..4).map(|_| under(&rules, job())).collect()).await;
    look(on, &rules).await;
    on.age(HOUR).await;
    let depths = on.store.outbox.depths(&[]).await.expect("depths");
    assert_eq!(depths.iter().map(|depth| depth.jobs).sum::<u64>(), 4);
    let ledger = on.store.queues.find_ledger().await.expect("a ledger");
    assert_eq!(ledger.waiting[0].jobs, 4);
    assert!(ledger.waiting[0].oldest >= HOUR, "{:?}", ledger.waiting);
    let lines = on.store.survey.list_waiting(3).await.expect("a sample");
    assert_eq!(lines.iter().map(|line| line.first).collect::<Vec<_>>(), jobs[..3]);
}

async fn permits_that_count_no_more_are_forgotten(on: &StoreFixture) {
    let rate = Rate { starts: 9, period: Duration::from_mins(1) };
    let rules = limited(KindLimits { concurrent_jobs: Some(9), rate: Some(rate), ..KindLimits::default() });
    let jobs = parked(on, vec![under(&rules, job()), under(&rules, job())]).await;
    let dispatches = look(on, &rules).await.dispatches;
    assert_eq!(on.count("permits").await, 4);
    let (one, other): (Vec<_>, Vec<_>) = dispatches.into_iter().partition(|dispatch| dispatch.jobs == jobs[..1]);
    finished(on, &running_again(on, jobs[0], one).await, succeeded(b"1")).await;
    on.store.permits.forget_permits().await.expect("forget");
    assert_eq!(on.count("permits").await, 3, "it has ended, but has started a moment ago");
    let _run = running_again(on, jobs[1], other).await;
    on.age(DAY).await;
    on.store.permits.forget_permits().await.expect("forget");
    assert_eq!(on.count("permits").await, 1, "one still runs");
}
