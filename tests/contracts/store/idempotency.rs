//! Idempotency keys: one key, one job.

use raincheck_shared::domain::{Fingerprint, NewJob, Status};
use raincheck_shared::store::Accepted;

use super::against_each_store;
use super::given::{accepted, find, finished, job, keyed_job, running, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_known_key_answers_the_first_job_and_its_fingerprint,
    of_two_equal_keys_in_one_batch_the_first_is_kept,
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
