//! Many in one call: what becomes of each is what would become of it alone.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use raincheck_shared::domain::{Body, Ended, Fence, Fingerprint, JobId, NewJob, Output, Payload, Status, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Accepted, Change, ClaimedJob, Finish, Finished, StoreError};

use super::against_each_store;
use super::given::{DAY, HOUR, accepted, claim, failure, find, job, keyed_job, now, retry, worker};
use crate::harness::store::StoreFixture;

against_each_store! {
    each_of_many_jobs_keeps_what_is_its_own,
    inputs_that_are_all_empty_are_kept_as_that,
    of_many_alike_jobs_one_whose_id_is_taken_fails_alone,
    a_key_that_a_refused_job_had_goes_to_the_next_of_the_same_call,
    each_of_many_that_are_claimed_has_its_own_token_and_input,
    of_many_ends_each_is_judged_by_its_own_fence,
}

/// More than any one answer of a statement holds at a time.
const MANY: usize = 130;

/// The n-th of many that are alike, with all that is its own.
fn own(n: usize) -> NewJob {
    let bytes = if n % 5 == 3 { Bytes::new() } else { format!("input {n} \u{0} {}", "x".repeat(n)).into() };
    NewJob {
        input: Payload { content_type: "text/plain".to_owned(), bytes }.into(),
        metadata: (!n.is_multiple_of(3)).then(|| format!("{{\"n\":\"{n} \\\" ' \u{7f}🌧\"}}")),
        tags: (0..n % 4).map(|tag| format!("{tag}, \"{n}\"")).collect(),
        traceparent: (!n.is_multiple_of(2)).then(|| format!("00-{n:032x}-00f067aa0ba902b7-01")),
        dispatch_width: 64,
        ..keyed_job(&format!("'{n}'"), u8::try_from(n).expect("few"))
    }
}

async fn assert_kept(on: &StoreFixture, new: &NewJob) {
    let found = find(on, new.id).await;
    assert_eq!((found.status, found.version), (Status::Queued, 1));
    assert_eq!((&found.metadata, &found.tags, &found.traceparent), (&new.metadata, &new.tags, &new.traceparent));
    let key = new.idempotency.as_ref().map(|idempotency| idempotency.key.as_str());
    assert_eq!(found.idempotency_key.as_deref(), key);
    assert_eq!(on.store.jobs.find_input(new.id).await.expect("read"), Some(new.input.clone()));
}

async fn each_of_many_jobs_keeps_what_is_its_own(on: &StoreFixture) {
    let batch: Vec<NewJob> = (0..MANY).map(own).collect();
    let dispatches = accepted(on, batch.clone()).await;
    let ids: Vec<JobId> = dispatches.into_iter().flat_map(|dispatch| dispatch.jobs).collect();
    assert_eq!(ids, batch.iter().map(|new| new.id).collect::<Vec<_>>());
    for new in &batch {
        assert_kept(on, new).await;
    }
    let again: Vec<NewJob> = (0..MANY).map(|n| NewJob { id: IdSource.job(), ..own(n) }).collect();
    for ((n, first), answer) in batch.iter().enumerate().zip(on.store.jobs.accept(again).await.answers) {
        let fingerprint = Fingerprint([u8::try_from(n).expect("few"); 32]);
        assert_eq!(answer.ok(), Some(Accepted::Known { first: first.id, fingerprint }));
    }
}

async fn inputs_that_are_all_empty_are_kept_as_that(on: &StoreFixture) {
    let empty = || Payload { content_type: "text/plain".to_owned(), bytes: Bytes::new() };
    let batch: Vec<NewJob> = (0..3).map(|_| NewJob { input: empty().into(), dispatch_width: 3, ..job() }).collect();
    let dispatches = accepted(on, batch.clone()).await;
    let (worker, _life) = worker(on).await;
    let ends: Vec<Finish> = claim(on, worker, dispatches)
        .await
        .into_iter()
        .map(|claimed| {
            assert_eq!(claimed.input, empty().into());
            let ended = Ended::Succeeded(Output { content: empty().into(), digest: [1; 32] });
            Finish { fence: claimed.fence, worker, ended, lease_done: None }
        })
        .collect();
    assert!(on.store.attempts.finish(&ends).await.expect("finish").iter().all(Result::is_ok));
    for new in &batch {
        let result = on.store.jobs.find_result(new.id).await.expect("read").expect("a result");
        assert_eq!(result.body, Body::Inline(Bytes::new()));
    }
}

async fn of_many_alike_jobs_one_whose_id_is_taken_fails_alone(on: &StoreFixture) {
    let before = job();
    accepted(on, vec![before.clone()]).await;
    let mut batch: Vec<NewJob> = (0..MANY).map(own).collect();
    batch[50].id = before.id;
    let answered = on.store.jobs.accept(batch.clone()).await;
    for (n, (new, answer)) in batch.iter().zip(&answered.answers).enumerate() {
        if n == 50 {
            assert!(matches!(answer, Err(StoreError::Rejected(_))), "{answer:?}");
        } else {
            assert_eq!(answer.clone().ok(), Some(Accepted::New { id: new.id, status: Status::Queued }));
            assert_kept(on, new).await;
        }
    }
    assert_eq!(on.store.jobs.find_input(before.id).await.expect("read"), Some(before.input));
    let mut dispatched: Vec<JobId> = answered.dispatches.into_iter().flat_map(|dispatch| dispatch.jobs).collect();
    dispatched.sort_unstable();
    let others = |new: &NewJob| (new.id != before.id).then_some(new.id);
    assert_eq!(dispatched, batch.iter().filter_map(others).collect::<Vec<_>>());
    // The key of what was refused is still free.
    accepted(on, vec![NewJob { id: IdSource.job(), ..own(50) }]).await;
}

async fn a_key_that_a_refused_job_had_goes_to_the_next_of_the_same_call(on: &StoreFixture) {
    let before = job();
    accepted(on, vec![before.clone()]).await;
    let refused = NewJob { id: before.id, ..keyed_job("k", 1) };
    let (second, third) = (keyed_job("k", 2), keyed_job("k", 3));
    let batch = vec![refused, second.clone(), keyed_job("other", 4)];
    let answered = on.store.jobs.accept(batch).await;
    assert!(matches!(answered.answers[0], Err(StoreError::Rejected(_))), "{:?}", answered.answers);
    assert_eq!(answered.answers[1].clone().ok(), Some(Accepted::New { id: second.id, status: Status::Queued }));
    assert!(matches!(answered.answers[2], Ok(Accepted::New { .. })), "{:?}", answered.answers);
    let answered = on.store.jobs.accept(vec![third]).await;
    let known = Accepted::Known { first: second.id, fingerprint: Fingerprint([2; 32]) };
    assert_eq!(answered.answers[0].clone().ok(), Some(known));
}

async fn each_of_many_that_are_claimed_has_its_own_token_and_input(on: &StoreFixture) {
    let batch: Vec<NewJob> = (0..MANY).map(own).collect();
    let dispatches = accepted(on, batch.clone()).await;
    let canceled = batch[7].id;
    on.store.jobs.cancel_job(&TenantName::default(), canceled, None, HOUR).await.expect("cancel");
    let (worker, _life) = worker(on).await;
    let claimed = claim(on, worker, dispatches).await;

    let waiting: Vec<&NewJob> = batch.iter().filter(|new| new.id != canceled).collect();
    assert_eq!(claimed.len(), waiting.len());
    let tokens: HashSet<_> = claimed.iter().map(|claimed| claimed.fence.token).collect();
    assert_eq!(tokens.len(), claimed.len());
    let claimed: HashMap<JobId, ClaimedJob> = claimed.into_iter().map(|claimed| (claimed.fence.job, claimed)).collect();
    for new in waiting {
        let claimed = &claimed[&new.id];
        assert_eq!((&claimed.input, &claimed.traceparent), (&new.input, &new.traceparent));
        assert_eq!((claimed.fence.attempt, claimed.version), (1, 2));
        let attempt = on.store.attempts.find_attempt(new.id, claimed.fence.token).await.expect("read");
        let attempt = attempt.expect("under its own token");
        assert_eq!((attempt.fence, attempt.worker, attempt.status), (claimed.fence, worker, Status::InProgress));
    }
    assert_eq!(find(on, canceled).await.status, Status::Canceled);
}

/// Jobs that run, in the order of their ids, all under one worker.
async fn many_running(on: &StoreFixture, jobs: Vec<NewJob>) -> (raincheck_shared::domain::WorkerId, Vec<ClaimedJob>) {
    let dispatches = accepted(on, jobs).await;
    let (worker, _life) = worker(on).await;
    let mut claimed = claim(on, worker, dispatches).await;
    claimed.sort_by_key(|claimed| claimed.fence.job);
    (worker, claimed)
}

/// The n-th result.
fn result(n: usize) -> Output {
    let content_type = if n.is_multiple_of(2) { "text/plain" } else { "application/octet-stream" }.to_owned();
    let bytes = if n % 5 == 3 { Bytes::new() } else { format!("\u{0} result {n} {}", "y".repeat(n)).into() };
    Output { content: Payload { content_type, bytes }.into(), digest: [u8::try_from(n).expect("few"); 32] }
}

async fn of_many_ends_each_is_judged_by_its_own_fence(on: &StoreFixture) {
    let keyed = |n: usize| NewJob { retention: if n.is_multiple_of(2) { HOUR } else { 3 * DAY }, ..own(n) };
    let (worker, claimed) = many_running(on, (0..MANY).map(keyed).collect()).await;
    on.store.jobs.cancel_job(&TenantName::default(), claimed[20].fence.job, None, HOUR).await.expect("cancel");
    let mut ends: Vec<Finish> = claimed
        .iter()
        .enumerate()
        .map(|(n, claimed)| Finish {
            fence: claimed.fence,
            worker,
            ended: Ended::Succeeded(result(n)),
            lease_done: None,
        })
        .collect();
    // One by one everything that may be the matter with an end.
    ends[11].fence.token = IdSource.random();
    ends[12].fence.attempt += 1;
    ends[13].worker = IdSource.worker();
    ends[14].fence = Fence { job: IdSource.job(), ..ends[14].fence };
    ends[21].ended = Ended::Failed(failure(1));
    ends[22].ended = retry(HOUR);
    ends[23].ended = Ended::Released;
    let nul = Payload { content_type: "text/\0".to_owned(), bytes: Bytes::new() };
    ends[24].ended = Ended::Succeeded(Output { content: nul.into(), digest: [0; 32] });
    let before = now();
    let answers = on.store.attempts.finish(&ends).await.expect("finish");

    assert_eq!(answers.len(), MANY);
    for (n, (claimed, answer)) in claimed.iter().zip(answers).enumerate() {
        let found = find(on, claimed.fence.job).await;
        let expected = match n {
            11..=14 | 24 => Status::InProgress,
            20 => Status::Canceled,
            21 => Status::Failed,
            22 => Status::Retrying,
            23 => Status::Queued,
            _ => Status::Succeeded,
        };
        assert_eq!(found.status, expected, "{n}");
        match n {
            11..=14 => assert_eq!(answer.ok(), Some(Finished::Fenced), "{n}"),
            24 => assert!(matches!(answer, Err(StoreError::Rejected(_))), "{answer:?}"),
            _ => {
                let change = Change { id: found.id, version: found.version, status: expected };
                assert_eq!(answer.ok(), Some(Finished::Recorded(change)), "{n}");
            }
        }
        let kept = on.store.jobs.find_result(found.id).await.expect("read");
        if expected != Status::Succeeded {
            assert_eq!(kept, None);
            continue;
        }
        let (kept, made) = (kept.expect("a result"), result(n));
        assert_eq!((kept.content_type, kept.body), (made.content.content_type, made.content.body), "{n}");
        assert_eq!((kept.digest, found.version), (made.digest, 3));
        let ended = found.finished_at.expect("an end");
        assert!((ended - before).abs() < Duration::from_mins(1));
        // A key is kept for a day at least.
        let retention = if n.is_multiple_of(2) { DAY } else { 3 * DAY };
        assert_eq!(found.expires_at, Some(ended + retention), "{n}");
    }
}

/// Nobody sends such a batch, and Postgres takes either end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_ends_of_one_job_the_first_counts_in_sqlite() {
    let on = &StoreFixture::sqlite().await;
    let (worker, claimed) = many_running(on, (0..4).map(own).collect()).await;
    let end = |n: usize, ended| Finish { fence: claimed[n].fence, worker, ended, lease_done: None };
    let failed = || Ended::Failed(failure(1));
    let good = |n| Ended::Succeeded(result(n));
    for (n, first, second, expected) in
        [(0, good(0), failed(), Status::Succeeded), (1, failed(), good(1), Status::Failed)]
    {
        let answers = on.store.attempts.finish(&[end(n, first), end(n + 2, good(n)), end(n, second)]).await;
        let answers = answers.expect("finish");
        let found = find(on, claimed[n].fence.job).await;
        let change = Change { id: found.id, version: 3, status: expected };
        assert_eq!(found.status, expected);
        assert_eq!(answers[0].clone().ok(), Some(Finished::Recorded(change)));
        assert!(matches!(answers[1], Ok(Finished::Recorded(_))), "{:?}", answers[1]);
        assert_eq!(answers[2].clone().ok(), Some(Finished::Before(change)));
    }
}
