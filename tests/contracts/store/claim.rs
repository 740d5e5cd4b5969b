//! Claiming: each waiting job goes to one worker.

use std::collections::HashSet;
use std::time::Duration;

use raincheck_shared::domain::{NewJob, Status, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Claim, StoreError};
use uuid::Uuid;

use super::against_each_store;
use super::given::{
    HOUR, accepted, claim, find, job, kind, made_up_dispatch, now, queue, rescue_all, running, scheduled_job, worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_claim_takes_what_waits_and_hands_over_all_that_a_handler_needs,
    a_second_claim_finds_nothing,
    a_claim_clears_its_dispatches_and_nothing_else,
    a_claim_that_takes_nothing_leaves_no_lease,
    what_is_not_queued_cannot_be_claimed,
    a_worker_that_was_declared_dead_cannot_claim,
    a_worker_that_never_registered_cannot_claim,
    overlapping_claims_never_share_a_job,
    without_messages_a_claim_takes_the_oldest_of_a_band_first_and_starves_no_band,
    without_messages_full_bands_share_a_claim_by_their_weights,
    without_messages_a_claim_takes_only_its_queues_and_kinds,
    without_messages_overlapping_claims_never_share_a_job,
}

async fn a_claim_takes_what_waits_and_hands_over_all_that_a_handler_needs(on: &StoreFixture) {
    let new = NewJob {
        deadline: Some(now() + HOUR),
        start_by: Some(now() + HOUR),
        max_attempts: 4,
        run_timeout: Duration::from_millis(1_500),
        traceparent: Some("00-aa-bb-01".to_owned()),
        ..job()
    };
    let dispatches = accepted(on, vec![new.clone()]).await;
    let (worker, _life) = worker(on).await;
    let before = now();
    let claimed = claim(on, worker, dispatches).await;
    assert_eq!(claimed.len(), 1);
    let claimed = &claimed[0];
    assert_eq!((claimed.fence.job, claimed.fence.attempt), (new.id, 1));
    assert_eq!((&claimed.kind, &claimed.queue), (&new.kind, &new.queue));
    assert_eq!(claimed.version, 2);
    assert_eq!(claimed.input, new.input);
    assert_eq!((claimed.max_attempts, claimed.run_timeout), (4, Duration::from_millis(1_500)));
    assert_eq!((claimed.deadline, claimed.crashes), (new.deadline, 0));
    assert_eq!(claimed.traceparent, new.traceparent);

    let found = find(on, new.id).await;
    assert_eq!((found.status, found.version, found.attempt), (Status::InProgress, 2, 1));
    assert_eq!(found.worker, Some(worker));
    let started = found.started_at.expect("a running job has started");
    assert!((started - before).abs() < Duration::from_mins(1), "{started} is about {before}");
    assert_eq!((found.finished_at, found.expires_at), (None, None));
    assert_eq!(on.count("leases").await, 1);
}

async fn a_second_claim_finds_nothing(on: &StoreFixture) {
    let jobs: Vec<NewJob> = (0..6).map(|_| NewJob { dispatch_width: 3, ..job() }).collect();
    let dispatches = accepted(on, jobs).await;
    let ((one, _a), (two, _b)) = (worker(on).await, worker(on).await);
    assert_eq!(claim(on, one, dispatches.clone()).await.len(), 6);
    assert_eq!(claim(on, two, dispatches.clone()).await, []);
    assert_eq!(claim(on, one, dispatches).await, [], "not even for the one who has them");
}

async fn a_claim_clears_its_dispatches_and_nothing_else(on: &StoreFixture) {
    let mut dispatches = accepted(on, (0..41).map(|_| job()).collect()).await;
    let left = dispatches.pop().expect("the last");
    // In whatever order messages came.
    dispatches.reverse();
    let (worker, _life) = worker(on).await;
    let claimed = claim(on, worker, dispatches).await;
    assert_eq!(claimed.len(), 40);
    assert!(claimed.iter().all(|c| c.lease == claimed[0].lease));
    let tokens: HashSet<Uuid> = claimed.iter().map(|c| c.fence.token).collect();
    assert_eq!(tokens.len(), 40, "each attempt has a token of its own");
    assert_eq!(on.count("dispatches").await, 1);
    assert_eq!(find(on, left.jobs[0]).await.status, Status::Queued);
}

async fn a_claim_that_takes_nothing_leaves_no_lease(on: &StoreFixture) {
    let dispatches = accepted(on, vec![job()]).await;
    on.store.jobs.cancel_job(&TenantName::default(), dispatches[0].jobs[0], None, HOUR).await.expect("cancel");
    let (worker, _life) = worker(on).await;
    assert_eq!(claim(on, worker, dispatches).await, []);
    assert_eq!(claim(on, worker, Vec::new()).await, []);
    assert_eq!(on.count("leases").await, 0);
    assert_eq!(on.count("dispatches").await, 0, "a dispatch that leads nowhere is cleared all the same");
}

async fn what_is_not_queued_cannot_be_claimed(on: &StoreFixture) {
    let new = scheduled_job(HOUR);
    accepted(on, vec![new.clone()]).await;
    let (worker, _life) = worker(on).await;
    assert_eq!(claim(on, worker, vec![made_up_dispatch(new.id)]).await, []);
    assert_eq!(claim(on, worker, vec![made_up_dispatch(IdSource.job())]).await, []);
    let found = find(on, new.id).await;
    assert_eq!((found.status, found.version), (Status::Scheduled, 1));
}

async fn a_worker_that_was_declared_dead_cannot_claim(on: &StoreFixture) {
    let held = running(on, job()).await;
    on.age(HOUR).await;
    assert_eq!(rescue_all(on, 5).await.len(), 1);
    let dispatches = accepted(on, vec![job()]).await;
    let late = Claim { worker: held.worker, lease: IdSource.lease(), dispatches: dispatches.clone() };
    let refused = on.store.attempts.claim(late).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    let empty = Claim { worker: held.worker, lease: IdSource.lease(), dispatches: Vec::new() };
    let refused = on.store.attempts.claim_waiting(empty, &[queue("default")], &[kind("test.echo")], 10).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    // It took nothing with it.
    let (next, _life) = worker(on).await;
    assert_eq!(claim(on, next, dispatches).await.len(), 1);
}

async fn a_worker_that_never_registered_cannot_claim(on: &StoreFixture) {
    let dispatches = accepted(on, vec![job()]).await;
    let stranger = Claim { worker: IdSource.worker(), lease: IdSource.lease(), dispatches: dispatches.clone() };
    let refused = on.store.attempts.claim(stranger).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    assert_eq!(find(on, dispatches[0].jobs[0]).await.status, Status::Queued);
    assert_eq!((on.count("leases").await, on.count("dispatches").await), (0, 1));
}

async fn overlapping_claims_never_share_a_job(on: &StoreFixture) {
    let ((one, _a), (two, _b), (three, _c)) = (worker(on).await, worker(on).await, worker(on).await);
    for _ in 0..8 {
        let dispatches = accepted(on, (0..30).map(|_| NewJob { dispatch_width: 3, ..job() }).collect()).await;
        let mut backwards = dispatches.clone();
        backwards.reverse();
        for dispatch in &mut backwards {
            dispatch.jobs.reverse();
        }
        let (a, b, c) = tokio::join!(
            claim(on, one, dispatches.clone()),
            claim(on, two, backwards),
            claim(on, three, dispatches[5..].to_vec()),
        );
        let ids: Vec<_> = a.iter().chain(&b).chain(&c).map(|c| c.fence.job).collect();
        let distinct: HashSet<_> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), ids.len(), "no job went to two");
        assert_eq!(ids.len(), 30, "every job went to somebody");
    }
    assert_eq!(on.count("dispatches").await, 0);
}

async fn without_messages_a_claim_takes_the_oldest_of_a_band_first_and_starves_no_band(on: &StoreFixture) {
    let with = |priority: u8| NewJob { priority, ..job() };
    let flood: Vec<NewJob> = (0..300).map(|_| with(9)).collect();
    let low = with(0);
    let urgent: Vec<_> = flood.iter().map(|job| job.id).collect();
    accepted(on, flood.into_iter().chain([low.clone()]).collect()).await;
    let (worker, _life) = worker(on).await;
    let mut taken = Vec::new();
    // By lot, one claim in twelve: that it is not among 290 comes about once in a hundred thousand million times.
    while !taken.contains(&low.id) && taken.len() < 290 {
        let empty = Claim { worker, lease: IdSource.lease(), dispatches: Vec::new() };
        let claimed = on.store.attempts.claim_waiting(empty, &[queue("default")], &[kind("test.echo")], 1).await;
        taken.extend(claimed.expect("claim").into_iter().map(|c| c.fence.job));
    }
    assert_eq!(taken.pop(), Some(low.id));
    assert_eq!(taken, urgent[..taken.len()], "within a band the oldest first");
    assert_eq!(find(on, low.id).await.status, Status::InProgress);
}

async fn without_messages_full_bands_share_a_claim_by_their_weights(on: &StoreFixture) {
    let jobs = |priority: u8, express: bool| (0..50).map(move |_| NewJob { priority, express, ..job() });
    accepted(on, jobs(0, false).chain(jobs(5, false)).chain(jobs(9, false)).chain(jobs(5, true)).collect()).await;
    let (worker, _life) = worker(on).await;
    let empty = Claim { worker, lease: IdSource.lease(), dispatches: Vec::new() };
    let taken = on.store.attempts.claim_waiting(empty, &[queue("default")], &[kind("test.echo")], 40).await;
    assert_eq!(taken.expect("claim").len(), 40);
    for (band, share) in [(0, 2), (1, 6), (2, 12), (3, 20)] {
        let taken = 50 - on.number(format!("SELECT count(*) FROM dispatches WHERE band = {band}")).await;
        assert!((share - 1..=share + 1).contains(&taken), "{taken} of band {band}");
    }
}

async fn without_messages_a_claim_takes_only_its_queues_and_kinds(on: &StoreFixture) {
    let ours = NewJob { queue: queue("a"), kind: kind("x"), ..job() };
    let also = NewJob { queue: queue("b"), kind: kind("y"), ..job() };
    let other_queue = NewJob { queue: queue("c"), kind: kind("x"), ..job() };
    let other_kind = NewJob { queue: queue("a"), kind: kind("z"), ..job() };
    accepted(on, vec![ours.clone(), also.clone(), other_queue.clone(), other_kind.clone()]).await;
    let (worker, _life) = worker(on).await;
    let empty = || Claim { worker, lease: IdSource.lease(), dispatches: Vec::new() };
    let (queues, kinds) = ([queue("a"), queue("b")], [kind("x"), kind("y")]);
    let taken = on.store.attempts.claim_waiting(empty(), &queues, &kinds, 100).await.expect("claim");
    let taken: HashSet<_> = taken.into_iter().map(|c| c.fence.job).collect();
    assert_eq!(taken, HashSet::from([ours.id, also.id]));
    assert_eq!(on.store.attempts.claim_waiting(empty(), &[], &kinds, 100).await.expect("claim"), []);
    assert_eq!(find(on, other_queue.id).await.status, Status::Queued);
    assert_eq!(find(on, other_kind.id).await.status, Status::Queued);
}

async fn without_messages_overlapping_claims_never_share_a_job(on: &StoreFixture) {
    let jobs: Vec<NewJob> = (0..60).map(|_| NewJob { dispatch_width: 2, ..job() }).collect();
    accepted(on, jobs).await;
    let (queues, kinds) = ([queue("default")], [kind("test.echo")]);
    let mut lives = Vec::new();
    for _ in 0..4 {
        lives.push(worker(on).await);
    }
    let mut ids = Vec::new();
    for _ in 0..20 {
        let claims = lives.iter().map(|(worker, _)| {
            let empty = Claim { worker: *worker, lease: IdSource.lease(), dispatches: Vec::new() };
            on.store.attempts.claim_waiting(empty, &queues, &kinds, 4)
        });
        for taken in futures_util::future::join_all(claims).await {
            ids.extend(taken.expect("claim").into_iter().map(|c| c.fence.job));
        }
    }
    let distinct: HashSet<_> = ids.iter().copied().collect();
    assert_eq!((ids.len(), distinct.len()), (60, 60));
}
