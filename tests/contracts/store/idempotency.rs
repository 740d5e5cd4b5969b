//! Idempotency keys: one key, one job.

use raincheck_shared::domain::{Fingerprint, NewJob, Status};
use raincheck_shared::store::Accepted;

use super::against_each_store;
use super::given::{accepted, find, finished, job, keyed_job, running, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_known_key_answers_the_first_job_and_its_fingerprint,
    of_two_equal_keys_in_one_batch_the_first_is_kept,
    of_jobs_that_are_alike_those_that_lost_their_keys_are_in_no_dispatch,
    a_key_is_held_also_by_a_job_that_has_ended,
    equal_keys_at_the_same_time_make_one_job,
}

async fn a_known_key_answers_the_first_job_and_its_fingerprint(on: &StoreFixture) {
    let (first, second, neighbour) = (keyed_job("k", 1), keyed_job("k", 2), job());
    accepted(on, vec![first.clone()]).await;
    let answered = on.store.jobs.accept(vec![second.clone(), neighbour.clone()]).await;
    assert_eq!(
        answered.answers[0].clone().ok(),
        Some(Accepted::Known { first: first.id, fingerprint: Fingerprint([1; 32]) })
    );
    assert_eq!(answered.answers[1].clone().ok(), Some(Accepted::New { id: neighbour.id, status: Status::Queued }));
    assert!(answered.dispatches.iter().all(|d| d.jobs == [neighbour.id]), "nothing is sent for a known key");
    assert_eq!(on.store.jobs.find_jobs(&[second.id], 0).await.expect("read"), []);
    assert_eq!(find(on, first.id).await.version, 1, "the first job did not change");
}

async fn of_two_equal_keys_in_one_batch_the_first_is_kept(on: &StoreFixture) {
    // The second in order has the smaller id, and must not win by it.
    let (b, a, c) = (keyed_job("k", 2), keyed_job("k", 1), keyed_job("other", 3));
    let answered = on.store.jobs.accept(vec![a.clone(), b.clone(), c.clone()]).await;
    let answers: Vec<_> = answered.answers.into_iter().map(|a| a.expect("all can be kept")).collect();
    assert_eq!(
        answers,
        [
            Accepted::New { id: a.id, status: Status::Queued },
            Accepted::Known { first: a.id, fingerprint: Fingerprint([1; 32]) },
            Accepted::New { id: c.id, status: Status::Queued },
        ]
    );
    assert_eq!(on.count("jobs").await, 2);
    assert_eq!(on.count("idempotency_keys").await, 2);
    let mut dispatched: Vec<_> = answered.dispatches.iter().flat_map(|d| d.jobs.clone()).collect();
    dispatched.sort_unstable();
    let mut kept = vec![a.id, c.id];
    kept.sort_unstable();
    assert_eq!(dispatched, kept);
}

async fn of_jobs_that_are_alike_those_that_lost_their_keys_are_in_no_dispatch(on: &StoreFixture) {
    let keyed = |n: u8, fingerprint| NewJob { dispatch_width: 3, ..keyed_job(&format!("k{n}"), fingerprint) };
    let holders: Vec<_> = [7, 0, 4].map(|n| keyed(n, 1)).into();
    accepted(on, holders.clone()).await;
    let mut batch: Vec<_> = (0..8).map(|n| keyed(n, 10 + n)).collect();
    batch.reverse();
    let answered = on.store.jobs.accept(batch.clone()).await;
    let key = |job: &NewJob| job.idempotency.as_ref().map(|idempotency| idempotency.key.to_string());
    let mut won = Vec::new();
    for (new, answer) in batch.iter().zip(answered.answers) {
        let expected = if let Some(holder) = holders.iter().find(|holder| key(holder) == key(new)) {
            Accepted::Known { first: holder.id, fingerprint: Fingerprint([1; 32]) }
        } else {
            assert_eq!(find(on, new.id).await.idempotency_key, key(new));
            won.push(new.id);
            Accepted::New { id: new.id, status: Status::Queued }
        };
        assert_eq!(answer.ok(), Some(expected));
    }
    won.sort_unstable();
    let sizes: Vec<_> = answered.dispatches.iter().map(|dispatch| dispatch.jobs.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 5);
    assert!(sizes.iter().all(|size| *size <= 3), "{sizes:?}");
    let mut dispatched: Vec<_> = answered.dispatches.into_iter().flat_map(|dispatch| dispatch.jobs).collect();
    dispatched.sort_unstable();
    assert_eq!(dispatched, won);

    // And when all are known, nothing is sent at all: each now holds what the first or the second asked for.
    let again = on.store.jobs.accept((0..8).map(|n| keyed(n, 99)).collect()).await;
    assert!(again.dispatches.is_empty(), "{:?}", again.dispatches);
    for (n, answer) in (0..8_u8).zip(again.answers) {
        let fingerprint = Fingerprint([if [7, 0, 4].contains(&n) { 1 } else { 10 + n }; 32]);
        assert!(matches!(answer, Ok(Accepted::Known { fingerprint: f, .. }) if f == fingerprint), "{n}: {answer:?}");
    }
    assert_eq!(on.count("jobs").await, 8);
}

async fn a_key_is_held_also_by_a_job_that_has_ended(on: &StoreFixture) {
    let first = keyed_job("k", 1);
    let running = running(on, first.clone()).await;
    finished(on, &running, succeeded(b"1")).await;
    let answered = on.store.jobs.accept(vec![keyed_job("k", 1)]).await;
    assert!(matches!(answered.answers[0], Ok(Accepted::Known { first: f, .. }) if f == first.id));
}

async fn equal_keys_at_the_same_time_make_one_job(on: &StoreFixture) {
    let batches = (0..8_u8).map(|n| {
        let neighbour = keyed_job(&format!("neighbour-{n}"), n);
        let batch: Vec<NewJob> = vec![neighbour, keyed_job("k", n)];
        on.store.jobs.accept(batch)
    });
    let answered = futures_util::future::join_all(batches).await;
    let mut new = Vec::new();
    let mut known = Vec::new();
    for batch in answered {
        assert!(matches!(batch.answers[0], Ok(Accepted::New { .. })), "{:?}", batch.answers[0]);
        match batch.answers[1].clone().expect("decided") {
            Accepted::New { id, .. } => new.push(id),
            Accepted::Known { first, .. } => known.push(first),
        }
    }
    assert_eq!(new.len(), 1);
    assert_eq!(known, vec![new[0]; 7]);
    assert_eq!(on.count("jobs").await, 9);
}
