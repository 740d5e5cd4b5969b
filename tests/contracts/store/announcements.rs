//! Events become deliveries in the commit that makes them: each end, however a job comes to it, and starts and progress when
//! they are asked for.

use std::time::Duration;

use raincheck_shared::domain::{
    Delivery, DeliveryAttempt, DeliveryId, DeliveryState, Ended, Event, Job, JobId, NewJob, Progress, Status,
    TenantName, Version, Webhook,
};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{AfterAttempt, DueDelivery, ProgressReport};

use super::against_each_store;
use super::deliveries::claim_for;
use super::given::{
    HOUR, Running, accepted, failure, find, finish, finished, fire, job, now, rescue_all, retry, running,
    running_again, scheduled_job, succeeded,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    every_way_of_ending_is_told_once,
    nobody_is_told_what_he_did_not_ask_for,
    each_start_is_told_to_whom_it_concerns,
    of_progress_there_is_one_delivery_at_a_time_and_one_a_second,
    progress_that_comes_while_other_progress_is_told_is_told_next,
    reports_and_those_who_tell_of_them_at_once_lose_no_progress,
    an_end_that_is_not_recorded_is_not_told_and_one_that_is_sent_twice_is_told_once,
}

pub(super) fn told(events: &[Event], new: NewJob) -> NewJob {
    let url = "https://hooks.example:8443/in?x=1".parse().expect("a URL");
    NewJob { webhook: Some(Webhook { url, events: events.to_vec() }), ..new }
}

/// One whose every end is told.
pub(super) fn told_job() -> NewJob {
    told(&Event::ENDS, job())
}

pub(super) async fn deliveries(on: &StoreFixture, id: JobId) -> Vec<Delivery> {
    on.store.deliveries.list_deliveries(id, None, 100).await.expect("list deliveries")
}

async fn cancel(on: &StoreFixture, id: JobId) {
    on.store.jobs.cancel_job(&TenantName::default(), id, None, Duration::from_secs(30)).await.expect("cancel");
}

async fn canceled_while_running(on: &StoreFixture) -> Running {
    let running = running(on, told_job()).await;
    cancel(on, running.id).await;
    running
}

/// Lets jobs end in every way there is, and answers what each has come to.
async fn ended_in_every_way(on: &StoreFixture) -> Vec<(&'static str, JobId, Status)> {
    let mut ended = Vec::new();
    for (how, max_attempts, end, status) in [
        ("a result", 3, succeeded(b"1"), Status::Succeeded),
        ("a failure for good", 3, Ended::Failed(failure(1)), Status::Failed),
        ("the last attempt", 1, retry(HOUR), Status::Failed),
    ] {
        let running = running(on, NewJob { max_attempts, ..told_job() }).await;
        finished(on, &running, end).await;
        ended.push((how, running.id, status));
    }
    for (how, end) in [
        ("a result after a cancel", succeeded(b"1")),
        ("a retry after a cancel", retry(HOUR)),
        ("a release after a cancel", Ended::Released),
        ("a snooze after a cancel", Ended::Snoozed(HOUR)),
    ] {
        let running = canceled_while_running(on).await;
        finished(on, &running, end).await;
        ended.push((how, running.id, Status::Canceled));
    }

    let (queued, scheduled) = (told_job(), told(&Event::ENDS, scheduled_job(HOUR)));
    accepted(on, vec![queued.clone(), scheduled.clone()]).await;
    let retrying = running(on, told_job()).await;
    finished(on, &retrying, retry(HOUR)).await;
    for (how, id) in
        [("canceled in the queue", queued.id), ("canceled ahead", scheduled.id), ("canceled between", retrying.id)]
    {
        cancel(on, id).await;
        ended.push((how, id, Status::Canceled));
    }

    let late = NewJob { start_by: Some(now() - HOUR), ..told_job() };
    accepted(on, vec![late.clone()]).await;
    let revoked = canceled_while_running(on).await;
    on.plant_timer(revoked.id, "revoke", Some(revoked.worker)).await;
    fire(on).await;
    ended.push(("never started", late.id, Status::Expired));
    ended.push(("revoked", revoked.id, Status::Canceled));

    let stray = canceled_while_running(on).await;
    on.store.attempts.drop_stray_leases(stray.worker, &[], &[]).await.expect("drop strays");
    ended.push(("a stray claim after a cancel", stray.id, Status::Canceled));

    let (lost, asked) = (running(on, told_job()).await, canceled_while_running(on).await);
    on.age(Duration::from_secs(10)).await;
    rescue_all(on, 1).await;
    ended.push(("a dead worker", lost.id, Status::Failed));
    ended.push(("a dead worker after a cancel", asked.id, Status::Canceled));
    ended
}

async fn every_way_of_ending_is_told_once(on: &StoreFixture) {
    for (how, id, status) in ended_in_every_way(on).await {
        let job = find(on, id).await;
        assert_eq!(job.status, status, "{how}");
        let deliveries = deliveries(on, id).await;
        assert_eq!(deliveries.len(), 1, "{how}: {deliveries:?}");
        let delivery = &deliveries[0];
        assert_eq!(delivery.id, DeliveryId::Job { id, version: job.version }, "{how}");
        assert_eq!(Some(delivery.event), Event::of_end(status), "{how}");
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Pending, 0), "{how}");
        assert_eq!(Some(delivery.created_at), job.finished_at, "{how}: told as of its end");
        assert_eq!(delivery.next_attempt_at, job.finished_at, "{how}: due at once");
    }
}

async fn nobody_is_told_what_he_did_not_ask_for(on: &StoreFixture) {
    let silent = running(on, job()).await;
    finished(on, &silent, succeeded(b"1")).await;
    assert_eq!(find(on, silent.id).await.webhook, None);
    let failures = running(on, told(&[Event::Failed], job())).await;
    finished(on, &failures, succeeded(b"1")).await;
    let webhook = find(on, failures.id).await.webhook.expect("a webhook");
    assert_eq!(webhook.wish, told(&[Event::Failed], job()).webhook.expect("the same"));
    assert_eq!(webhook.summary, None);
    let live = running(on, told_job()).await;
    finished(on, &live, retry(HOUR)).await;
    assert_eq!(on.count("deliveries").await, 0);
}

async fn each_start_is_told_to_whom_it_concerns(on: &StoreFixture) {
    let mut all = Event::ENDS.to_vec();
    all.push(Event::Started);
    let first = running(on, told(&all, job())).await;
    running(on, told_job()).await;
    finished(on, &first, retry(Duration::ZERO)).await;
    on.age(Duration::from_secs(1)).await;
    let moved = fire(on).await;
    let second = running_again(on, first.id, moved.dispatches).await;
    finished(on, &second, succeeded(b"1")).await;
    let heard: Vec<_> =
        deliveries(on, first.id).await.iter().rev().map(|d| (d.id.version().expect("of a job"), d.event)).collect();
    // Accepted, started, retrying, queued, started, succeeded.
    assert_eq!(heard, [(2, Event::Started), (5, Event::Started), (6, Event::Succeeded)]);
    assert_eq!(on.count("deliveries").await, 3);

    // The same for a worker that finds its work in the store.
    let (worker, _life) = super::given::worker(on).await;
    let waiting = told(&[Event::Started], job());
    accepted(on, vec![waiting.clone()]).await;
    let claim = raincheck_shared::store::Claim { worker, lease: IdSource.lease(), dispatches: Vec::new() };
    let claimed = on.store.attempts.claim_waiting(claim, &[waiting.queue], &[waiting.kind], 10).await.expect("claim");
    assert_eq!(claimed.len(), 1);
    let told: Vec<_> =
        deliveries(on, waiting.id).await.iter().map(|d| (d.id.version().expect("of a job"), d.event)).collect();
    assert_eq!(told, [(claimed[0].version, Event::Started)]);
}

async fn report(on: &StoreFixture, running: &Running, percent: f64) -> i32 {
    let progress = Progress { percent, message: None };
    let report = ProgressReport { fence: running.fence, progress };
    let changes = on.store.attempts.report_progress(&[report]).await.expect("report progress");
    assert_eq!(changes.len(), 1);
    changes[0].version
}

async fn of_progress_there_is_one_delivery_at_a_time_and_one_a_second(on: &StoreFixture) {
    let running = running(on, told(&[Event::Progress], job())).await;
    let first = report(on, &running, 10.0).await;
    report(on, &running, 20.0).await;
    let pending = deliveries(on, running.id).await;
    assert_eq!(
        pending.iter().map(|d| (d.id.version().expect("of a job"), d.event)).collect::<Vec<_>>(),
        [(first, Event::Progress)]
    );
    let due = claim_for(on, 10, HOUR).await;
    let through = AfterAttempt::Over(DeliveryState::Delivered);
    assert!(on.store.deliveries.record_attempt(due[0].claim, None, through).await.expect("record"));

    // The next one takes the place of the one that is through, a second after it.
    let third = report(on, &running, 30.0).await;
    let next = deliveries(on, running.id).await;
    assert_eq!(
        next.iter().map(|d| (d.id.version().expect("of a job"), d.state)).collect::<Vec<_>>(),
        [(third, DeliveryState::Pending)]
    );
    assert_eq!(next[0].created_at, pending[0].created_at + Duration::from_secs(1));
    assert_eq!(next[0].next_attempt_at, Some(next[0].created_at));
    assert_eq!(claim_for(on, 10, HOUR).await, [], "not yet");
}

async fn tell(on: &StoreFixture, due: &DueDelivery, told: Version) -> bool {
    let attempt = DeliveryAttempt { at: now(), latency_ms: 1, status: Some(200), response: None, error: None };
    on.store.deliveries.record_told_progress(due.claim, &attempt, told).await.expect("record")
}

fn versions(deliveries: &[Delivery]) -> Vec<(Version, DeliveryState)> {
    deliveries.iter().map(|it| (it.id.version().expect("of a job"), it.state)).collect()
}

async fn progress_that_comes_while_other_progress_is_told_is_told_next(on: &StoreFixture) {
    let running = running(on, told(&[Event::Progress], job())).await;
    let first = report(on, &running, 10.0).await;
    let due = claim_for(on, 10, HOUR).await.remove(0);
    let before = deliveries(on, running.id).await.remove(0);
    // It has been read, and is on its way to the receiver.
    let last = report(on, &running, 20.0).await;
    let tag = |job: &Job| job.webhook.as_ref().and_then(|webhook| webhook.summary).expect("a summary");
    let seen = tag(&find(on, running.id).await);
    assert!(tell(on, &due, first).await);
    assert!(!tell(on, &due, first).await, "once");
    let next = deliveries(on, running.id).await;
    assert_eq!(versions(&next), [(last, DeliveryState::Pending)]);
    assert_eq!((next[0].created_at, next[0].attempts), (before.created_at + Duration::from_secs(1), 0));
    assert_eq!(next[0].next_attempt_at, Some(next[0].created_at), "not sooner than any other");
    assert_eq!(next[0].history, []);
    assert!(tag(&find(on, running.id).await).changes > seen.changes, "no tag means two bodies");

    on.age(Duration::from_secs(1)).await;
    let due = claim_for(on, 10, HOUR).await.remove(0);
    assert_eq!(due.claim.id.version(), Some(last));
    assert!(tell(on, &due, last).await);
    let through = deliveries(on, running.id).await;
    assert_eq!(versions(&through), [(last, DeliveryState::Delivered)]);
    assert_eq!((through[0].attempts, through[0].history.len()), (1, 1));

    // Of a job that has ended meanwhile its end is told.
    let another = report(on, &running, 30.0).await;
    on.age(Duration::from_secs(1)).await;
    let due = claim_for(on, 10, HOUR).await.remove(0);
    report(on, &running, 40.0).await;
    finished(on, &running, succeeded(b"1")).await;
    assert!(tell(on, &due, another).await);
    assert_eq!(versions(&deliveries(on, running.id).await), [(another, DeliveryState::Delivered)]);
}

async fn reports_and_those_who_tell_of_them_at_once_lose_no_progress(on: &StoreFixture) {
    let running = running(on, told(&[Event::Progress], job())).await;
    let mut last = report(on, &running, 0.5).await;
    for round in 1..40 {
        on.age(Duration::from_secs(1)).await;
        let due = claim_for(on, 10, HOUR).await.remove(0);
        let read = find(on, running.id).await.version;
        let (reported, recorded) = tokio::join!(report(on, &running, f64::from(round)), tell(on, &due, read));
        assert!(recorded && reported > last, "round {round}");
        last = reported;
        let left = deliveries(on, running.id).await;
        assert_eq!(versions(&left), [(last, DeliveryState::Pending)], "round {round}");
    }
}

async fn an_end_that_is_not_recorded_is_not_told_and_one_that_is_sent_twice_is_told_once(on: &StoreFixture) {
    let running = running(on, told_job()).await;
    let mut wrong = running.ends(succeeded(b"1"));
    wrong.fence.token = IdSource.random();
    finish(on, wrong).await;
    assert_eq!(on.count("deliveries").await, 0);
    for _ in 0..2 {
        finish(on, running.ends(succeeded(b"1"))).await;
    }
    assert_eq!(on.count("deliveries").await, 1);
}
