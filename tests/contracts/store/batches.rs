//! Batches: kept whole, and counted exactly, whoever ends their jobs.

use std::time::Duration;

use raincheck_shared::domain::{
    Batch, BatchCounts, BatchId, CallbackUrl, DeliveryAttempt, DeliveryId, DeliveryState, Ended, Event, Fingerprint,
    Idempotency, JobId, NewBatch, NewJob, TenantName,
};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Accepted, AcceptedWhole, AfterAttempt, CanceledWhole, Finish, JobFilter, StoreError};

use super::against_each_store;
use super::announcements::told_job;
use super::deliveries::claim_for;
use super::given::{
    HOUR, TTL, claim, failure, finish, fire, job, keyed_job, rescue_all, retry, scheduled_job, succeeded, worker,
    worker_with,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_batch_is_kept_with_its_jobs_and_without_those_that_cannot_be,
    a_batch_of_which_nothing_can_be_kept_is_not_kept,
    a_key_of_the_whole_and_keys_of_items_are_each_their_own,
    each_end_is_counted_once_and_the_last_one_is_told,
    the_end_of_a_batch_is_a_delivery_like_any_other,
    a_batch_without_a_webhook_is_told_to_nobody,
    ends_that_come_at_once_are_counted_exactly,
    a_rescue_counts_only_what_it_ends,
    a_batch_is_canceled_as_far_as_it_has_not_ended,
    jobs_of_a_batch_are_listed_by_it,
    a_batch_is_forgotten_once_its_retention_is_over,
}

fn receiver() -> CallbackUrl {
    "https://hooks.example:8443/whole?x=1".parse().expect("a URL")
}

/// One whose end is told.
pub(super) fn batch(jobs: Vec<NewJob>) -> NewBatch {
    let id = IdSource.batch();
    let jobs: Vec<_> = jobs.into_iter().map(|job| NewJob { batch: Some(id), ..job }).enumerate().collect();
    let items = jobs.len();
    NewBatch {
        id,
        tenant: TenantName::default(),
        idempotency: None,
        retention: HOUR,
        items,
        jobs,
        webhook: Some(receiver()),
    }
}

fn keyed(batch: NewBatch, key: &str, fingerprint: u8) -> NewBatch {
    let fingerprint = Fingerprint([fingerprint; 32]);
    NewBatch { idempotency: Some(Idempotency { key: key.parse().expect("a key"), fingerprint }), ..batch }
}

/// Keeps a batch that is new; answers its answers and dispatches.
async fn kept(
    on: &StoreFixture,
    batch: NewBatch,
) -> (Vec<Result<Accepted, StoreError>>, Vec<raincheck_shared::domain::Dispatch>) {
    match on.store.batches.accept_batch(batch).await.expect("accept a batch") {
        AcceptedWhole::New { answers, dispatches } => (answers, dispatches),
        known @ AcceptedWhole::Known { .. } => panic!("{known:?}"),
    }
}

async fn find(on: &StoreFixture, id: BatchId) -> Batch {
    on.store.batches.find_batch(id).await.expect("read a batch").expect("there is one")
}

fn ids(batch: &NewBatch) -> Vec<JobId> {
    batch.jobs.iter().map(|(_, job)| job.id).collect()
}

async fn a_batch_is_kept_with_its_jobs_and_without_those_that_cannot_be(on: &StoreFixture) {
    let bad = NewJob { tags: vec!["a\0b".to_owned()], ..job() };
    let mut new = batch(vec![job(), bad, scheduled_job(HOUR), NewJob { dispatch_width: 4, ..job() }]);
    // An item that the caller refused itself stands between them.
    new.items = 6;
    new.jobs[3].0 = 5;
    let (answers, dispatches) = kept(on, new.clone()).await;
    assert!(matches!(answers[1], Err(StoreError::Rejected(_))), "{answers:?}");
    assert!([0, 2, 3].iter().all(|&n| matches!(answers[n], Ok(Accepted::New { .. }))), "{answers:?}");
    let mut on_their_way: Vec<JobId> = dispatches.into_iter().flat_map(|dispatch| dispatch.jobs).collect();
    on_their_way.sort_unstable();
    let jobs = ids(&new);
    assert_eq!(on_their_way, [jobs[0], jobs[3]]);
    let items = on.store.batches.find_batch_items(new.id).await.expect("items");
    assert_eq!(items, [Some(jobs[0]), None, Some(jobs[2]), None, None, Some(jobs[3])]);
    let found = find(on, new.id).await;
    assert_eq!((found.total, found.counts), (3, BatchCounts { queued: 2, scheduled: 1, ..BatchCounts::default() }));
    assert_eq!((found.finished_at, found.expires_at, found.last_live), (None, None, Some(jobs[3])));
    assert_eq!(super::given::find(on, jobs[0]).await.batch, Some(new.id));
}

async fn a_batch_of_which_nothing_can_be_kept_is_not_kept(on: &StoreFixture) {
    let bad = || NewJob { tags: vec!["\0".to_owned()], ..job() };
    let new = keyed(batch(vec![bad(), bad()]), "of nothing", 1);
    let (answers, dispatches) = kept(on, new.clone()).await;
    assert!(answers.iter().all(Result::is_err) && dispatches.is_empty());
    assert_eq!(on.store.batches.find_batch(new.id).await.expect("read"), None);
    assert_eq!(on.count("batches").await, 0);
    // Its key is free.
    kept(on, keyed(batch(vec![job()]), "of nothing", 2)).await;
}

async fn a_key_of_the_whole_and_keys_of_items_are_each_their_own(on: &StoreFixture) {
    let first = keyed(batch(vec![keyed_job("item", 1), job()]), "whole", 7);
    let (again, also) = (NewBatch { id: IdSource.batch(), ..first.clone() }, first.clone());
    // Two at once: one is kept, the other waits for it.
    let (one, two) = tokio::join!(on.store.batches.accept_batch(also), on.store.batches.accept_batch(again));
    let (one, two) = (one.expect("accept"), two.expect("accept"));
    let known = |whole: &AcceptedWhole| matches!(whole, AcceptedWhole::Known { .. });
    assert_ne!(known(&one), known(&two), "{one:?} {two:?}");
    let AcceptedWhole::Known { first: holder, fingerprint } = (if known(&one) { one } else { two }) else { panic!() };
    assert_eq!(fingerprint, Fingerprint([7; 32]));
    assert_eq!((on.count("batches").await, on.count("jobs").await), (1, 2));
    assert_eq!(find(on, holder).await.key.as_deref(), Some("whole"));

    // An item whose own key is known names its job, which stays where it is.
    let jobs = ids(&first);
    let other = batch(vec![job(), keyed_job("item", 1), keyed_job("item", 1)]);
    let (answers, _) = kept(on, other.clone()).await;
    for answer in &answers[1..] {
        assert!(matches!(answer, Ok(Accepted::Known { first, .. }) if *first == jobs[0]), "{answers:?}");
    }
    assert_eq!(find(on, other.id).await.total, 1);
    let items = on.store.batches.find_batch_items(other.id).await.expect("items");
    assert_eq!(items, [Some(other.jobs[0].1.id), Some(jobs[0]), Some(jobs[0])]);
    let canceled = cancel(on, other.id).await;
    assert_eq!(canceled.canceled.len(), 1, "another batch's job is left alone");
}

async fn each_end_is_counted_once_and_the_last_one_is_told(on: &StoreFixture) {
    let late = NewJob { start_by: Some(super::given::now() - HOUR), ..scheduled_job(HOUR) };
    let new = batch(vec![job(), job(), job(), scheduled_job(HOUR), late, job()]);
    let jobs = ids(&new);
    let (_, dispatches) = kept(on, new.clone()).await;
    let (worker, _life) = worker_with(on, HOUR).await;
    let claimed = claim(on, worker, dispatches).await;
    let end = |id: JobId, ended: Ended| {
        let job = claimed.iter().find(|claimed| claimed.fence.job == id).expect("claimed");
        Finish { fence: job.fence, worker, ended, lease_done: None }
    };
    let counts = async || find(on, new.id).await.counts;
    finish(on, end(jobs[0], succeeded(b"1"))).await;
    // Sent again, because its answer was lost.
    finish(on, end(jobs[0], succeeded(b"1"))).await;
    finish(on, end(jobs[1], Ended::Failed(failure(1)))).await;
    finish(on, end(jobs[2], retry(HOUR))).await;
    finish(on, end(jobs[5], Ended::Released)).await;
    let half = BatchCounts { succeeded: 1, failed: 1, retrying: 1, scheduled: 2, queued: 1, ..BatchCounts::default() };
    assert_eq!(counts().await, half);
    fire(on).await;
    assert_eq!(counts().await, BatchCounts { scheduled: 1, expired: 1, ..half });
    assert_eq!((find(on, new.id).await.finished_at, on.count("deliveries").await), (None, 0));
    for id in [jobs[2], jobs[3], jobs[5]] {
        on.store.jobs.cancel_job(&TenantName::default(), id, None, HOUR).await.expect("cancel");
        on.store.jobs.cancel_job(&TenantName::default(), id, None, HOUR).await.expect("cancel again");
    }
    let ended = BatchCounts { succeeded: 1, failed: 1, expired: 1, canceled: 3, ..BatchCounts::default() };
    let found = find(on, new.id).await;
    assert_eq!(found.counts, ended);
    assert!(found.finished_at.is_some() && found.expires_at.is_some() && found.last_live.is_none());
    assert_eq!(on.count("deliveries").await, 1);
}

async fn the_end_of_a_batch_is_a_delivery_like_any_other(on: &StoreFixture) {
    // One of its jobs has the same wish of its own, and keeps it.
    let new = batch(vec![told_job(), job()]);
    let id = DeliveryId::Batch(new.id);
    kept(on, new.clone()).await;
    let webhook = find(on, new.id).await.webhook.expect("a webhook");
    assert_eq!((webhook.url, webhook.summary), (receiver(), None));
    assert_eq!(on.store.deliveries.find_delivery(id).await.expect("read"), None, "it has not ended");
    cancel(on, new.id).await;
    let told = on.store.deliveries.find_delivery(id).await.expect("read").expect("a delivery");
    assert_eq!((told.id, told.event, told.state), (id, Event::BatchCompleted, DeliveryState::Pending));
    assert_eq!(Some(told.created_at), find(on, new.id).await.finished_at);

    let due = claim_for(on, 9, HOUR).await;
    let mut events: Vec<&str> = due.iter().map(|due| due.event.as_str()).collect();
    events.sort_unstable();
    assert_eq!(events, ["batch.completed", "job.canceled"], "the cancel of a whole tells of each job as well");
    let due = due.into_iter().find(|due| due.claim.id == id).expect("the batch's");
    assert_eq!(due.receiver, "hooks.example:8443");
    let at = super::given::now();
    let attempt = DeliveryAttempt { at, latency_ms: 1, status: Some(500), response: None, error: None };
    let failed = AfterAttempt::Over(DeliveryState::Failed);
    assert!(on.store.deliveries.record_attempt(due.claim, Some(&attempt), failed).await.expect("record"));
    let summary = find(on, new.id).await.webhook.and_then(|webhook| webhook.summary).expect("a summary");
    assert_eq!((summary.state, summary.attempts, summary.last_status), (DeliveryState::Failed, 1, Some(500)));
    let again = on.store.deliveries.redeliver(id).await.expect("redeliver").expect("a delivery");
    assert_eq!((again.id, again.state, again.history.len()), (id, DeliveryState::Pending, 1));
    assert_eq!(on.store.deliveries.list_deliveries(JobId::new(new.id.as_uuid()), None, 9).await.expect("list"), []);
}

async fn a_batch_without_a_webhook_is_told_to_nobody(on: &StoreFixture) {
    let new = NewBatch { webhook: None, ..batch(vec![job()]) };
    kept(on, new.clone()).await;
    cancel(on, new.id).await;
    assert!(find(on, new.id).await.finished_at.is_some());
    assert_eq!((find(on, new.id).await.webhook, on.count("deliveries").await), (None, 0));
}

async fn ends_that_come_at_once_are_counted_exactly(on: &StoreFixture) {
    // Two batches whose jobs end in the same statements, in both orders: nobody may wait in a circle.
    let (a, b) = (batch((0..60).map(|_| job()).collect()), batch((0..60).map(|_| job()).collect()));
    let (_, mut dispatches) = kept(on, a.clone()).await;
    dispatches.extend(kept(on, b.clone()).await.1);
    let (worker, _life) = worker_with(on, HOUR).await;
    let claimed = claim(on, worker, dispatches).await;
    assert_eq!(claimed.len(), 120);
    let ends: Vec<Finish> = claimed
        .iter()
        .map(|job| Finish { fence: job.fence, worker, ended: succeeded(b"1"), lease_done: None })
        .collect();
    let (mut ours, mut theirs): (Vec<_>, Vec<_>) = ends.into_iter().enumerate().partition(|(n, _)| (n / 3) % 2 == 0);
    theirs.reverse();
    ours.rotate_left(20);
    let statements = |ends: Vec<(usize, Finish)>| -> Vec<Vec<Finish>> {
        ends.chunks(7).map(|some| some.iter().map(|(_, end)| end.clone()).collect()).collect()
    };
    let lanes = [statements(ours), statements(theirs)].map(|statements| async move {
        for batch in statements {
            for answer in on.store.attempts.finish(&batch).await.expect("finish") {
                answer.expect("an end that can be kept");
            }
        }
    });
    futures_util::future::join_all(lanes).await;
    for whole in [a, b] {
        let found = find(on, whole.id).await;
        assert_eq!(found.counts, BatchCounts { succeeded: 60, ..BatchCounts::default() });
        assert!(found.finished_at.is_some());
    }
    assert_eq!(on.count("deliveries").await, 2);
}

async fn a_rescue_counts_only_what_it_ends(on: &StoreFixture) {
    let new = batch(vec![job(), job()]);
    let jobs = ids(&new);
    let (_, dispatches) = kept(on, new.clone()).await;
    let (dead, life) = worker(on).await;
    claim(on, dead, dispatches).await;
    on.store.jobs.cancel_job(&TenantName::default(), jobs[1], None, HOUR).await.expect("cancel");
    drop(life);
    tokio::time::sleep(TTL + Duration::from_millis(100)).await;
    let rescued = rescue_all(on, 5).await;
    assert_eq!(rescued.len(), 1);
    let found = find(on, new.id).await;
    assert_eq!(found.counts, BatchCounts { queued: 1, canceled: 1, ..BatchCounts::default() });
    let (again, life) = worker(on).await;
    claim(on, again, rescued.into_iter().flat_map(|moved| moved.dispatches).collect()).await;
    drop(life);
    tokio::time::sleep(TTL + Duration::from_millis(100)).await;
    rescue_all(on, 2).await;
    let found = find(on, new.id).await;
    assert_eq!(found.counts, BatchCounts { failed: 1, canceled: 1, ..BatchCounts::default() });
    assert_eq!(on.count("deliveries").await, 1);
}

async fn cancel(on: &StoreFixture, id: BatchId) -> CanceledWhole {
    let tenant = TenantName::default();
    on.store.batches.cancel_batch(&tenant, id, Some("enough"), HOUR).await.expect("cancel a batch")
}

async fn a_batch_is_canceled_as_far_as_it_has_not_ended(on: &StoreFixture) {
    let new = batch(vec![job(), job(), scheduled_job(HOUR), job()]);
    let jobs = ids(&new);
    let (_, dispatches) = kept(on, new.clone()).await;
    let (worker, mut life) = worker_with(on, HOUR).await;
    let some = dispatches.into_iter().filter(|dispatch| dispatch.jobs != [jobs[3]]).collect();
    let claimed = claim(on, worker, some).await;
    let running = claimed.iter().find(|claimed| claimed.fence.job == jobs[1]).expect("claimed").fence;
    let done = claimed.iter().find(|claimed| claimed.fence.job == jobs[0]).expect("claimed").fence;
    finish(on, Finish { fence: done, worker, ended: succeeded(b"1"), lease_done: None }).await;

    let stranger = on.store.batches.cancel_batch(&"other".parse().expect("a name"), new.id, None, HOUR).await;
    assert_eq!(stranger.expect("answered"), CanceledWhole::default(), "another tenant's is left alone");
    let canceled = cancel(on, new.id).await;
    let mut waiting: Vec<JobId> = canceled.canceled.iter().map(|change| change.id).collect();
    waiting.sort_unstable();
    assert_eq!(waiting, [jobs[2], jobs[3]]);
    assert_eq!(canceled.asked.iter().map(|change| change.id).collect::<Vec<_>>(), [jobs[1]]);
    let orders = life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew").orders;
    assert_eq!(orders.iter().map(|order| order.job).collect::<Vec<_>>(), [jobs[1]]);
    assert_eq!(cancel(on, new.id).await, CanceledWhole::default(), "a second time changes nothing");
    let found = find(on, new.id).await;
    assert_eq!(found.counts, BatchCounts { succeeded: 1, canceled: 2, in_progress: 1, ..BatchCounts::default() });
    assert!(found.cancel_requested_at.is_some() && found.finished_at.is_none());
    let job = super::given::find(on, jobs[2]).await;
    assert_eq!(job.cancel.expect("a cancel").reason.as_deref(), Some("enough"));
    finish(on, Finish { fence: running, worker, ended: succeeded(b"1"), lease_done: None }).await;
    let found = find(on, new.id).await;
    assert_eq!(found.counts, BatchCounts { succeeded: 1, canceled: 3, ..BatchCounts::default() });
    assert_eq!((found.finished_at.is_some(), on.count("deliveries").await), (true, 1));
}

async fn jobs_of_a_batch_are_listed_by_it(on: &StoreFixture) {
    let new = batch((0..5).map(|n| NewJob { tags: vec![format!("t{}", n % 2)], ..job() }).collect());
    kept(on, new.clone()).await;
    kept(on, batch(vec![job()])).await;
    let mut newest_first = ids(&new);
    newest_first.reverse();
    let filter = JobFilter { batch: Some(new.id), ..JobFilter::default() };
    let first = on.store.jobs.list_jobs(&filter, None, 3).await.expect("list");
    assert_eq!(first.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), newest_first[..3]);
    let second = on.store.jobs.list_jobs(&filter, first.next, 3).await.expect("list");
    assert_eq!(second.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), newest_first[3..]);
    assert_eq!(second.next, None);
    let tagged = JobFilter { tags: vec!["t1".to_owned()], ..filter.clone() };
    assert_eq!(on.store.jobs.list_jobs(&tagged, None, 9).await.expect("list").jobs.len(), 2);
    let stranger = JobFilter { tenant: "other".parse().expect("a name"), ..filter };
    assert_eq!(on.store.jobs.list_jobs(&stranger, None, 9).await.expect("list").jobs, []);
    let nowhere = JobFilter { batch: Some(IdSource.batch()), ..JobFilter::default() };
    assert_eq!(on.store.jobs.list_jobs(&nowhere, None, 9).await.expect("list").jobs, []);
}

async fn a_batch_is_forgotten_once_its_retention_is_over(on: &StoreFixture) {
    let second = Duration::from_secs(1);
    let short = || NewJob { retention: second, ..job() };
    let new = NewBatch { retention: second, ..batch(vec![short()]) };
    let with_key = NewBatch { retention: second, ..keyed(batch(vec![short()]), "kept for a day", 1) };
    kept(on, new.clone()).await;
    kept(on, with_key.clone()).await;
    cancel(on, new.id).await;
    cancel(on, with_key.id).await;
    assert!(find(on, new.id).await.finished_at.is_some());
    tokio::time::sleep(second + Duration::from_millis(100)).await;
    assert_eq!(on.store.batches.find_batch(new.id).await.expect("read"), None, "before it is removed");
    while on.store.upkeep.remove_expired().await.expect("remove") {}
    assert_eq!((on.count("batches").await, on.count("deliveries").await), (1, 1));
    find(on, with_key.id).await;
}
