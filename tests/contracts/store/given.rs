//! How a contract gets the jobs and workers that it is about.

use std::time::Duration;

use bytes::Bytes;
use raincheck_shared::domain::{
    Band, Dispatch, Ended, Failure, FailureCode, Fence, Idempotency, Job, JobId, KindName, LeaseId, NewJob, Output,
    Payload, QueueName, TenantName, Timestamp, WorkerId,
};
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};
use raincheck_shared::store::{Accepted, Claim, ClaimedJob, Finish, Finished, Lease};

use crate::harness::store::StoreFixture;

/// The lease of workers in contracts: short, so that also a server that has just started was up for longer.
pub(super) const TTL: Duration = Duration::from_millis(300);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Now, to the microsecond: what a store keeps.
pub(super) fn now() -> Timestamp {
    let now = SystemClock.now();
    now.replace_nanosecond(now.nanosecond() / 1000 * 1000).expect("a smaller nanosecond")
}

pub(super) fn kind(name: &str) -> KindName {
    name.parse().expect("a kind's name")
}

pub(super) fn queue(name: &str) -> QueueName {
    name.parse().expect("a queue's name")
}

/// A plain job, to be changed where a contract cares.
pub(super) fn job() -> NewJob {
    NewJob {
        id: IdSource.job(),
        tenant: TenantName::default(),
        kind: kind("test.echo"),
        queue: queue("default"),
        priority: 5,
        express: false,
        input: Payload::json(&b"{\"a\":1}"[..]).into(),
        run_at: None,
        start_by: None,
        deadline: None,
        run_timeout: Duration::from_mins(1),
        max_attempts: 3,
        retention: 7 * DAY,
        input_retention: None,
        metadata: None,
        tags: Vec::new(),
        concurrency_key: None,
        line: None,
        idempotency: None,
        traceparent: None,
        retry_of: None,
        batch: None,
        webhook: None,
        dispatch_width: 1,
    }
}

/// One that waits for its time.
pub(super) fn scheduled_job(ahead: Duration) -> NewJob {
    NewJob { run_at: Some(now() + ahead), ..job() }
}

/// One with an idempotency key.
pub(super) fn keyed_job(key: &str, fingerprint: u8) -> NewJob {
    let fingerprint = raincheck_shared::domain::Fingerprint([fingerprint; 32]);
    NewJob { idempotency: Some(Idempotency { key: key.parse().expect("a key"), fingerprint }), ..job() }
}

/// Keeps them all, and answers their dispatches.
pub(super) async fn accepted(on: &StoreFixture, jobs: Vec<NewJob>) -> Vec<Dispatch> {
    let batch = on.store.jobs.accept(jobs).await;
    for answer in &batch.answers {
        assert!(matches!(answer, Ok(Accepted::New { .. })), "{answer:?}");
    }
    batch.dispatches
}

/// The job as it can be read now.
pub(super) async fn find(on: &StoreFixture, id: JobId) -> Job {
    let mut found = on.store.jobs.find_jobs(&[id], 64 * 1024).await.expect("read a job");
    assert_eq!(found.len(), 1, "one job {id}");
    found.remove(0)
}

/// A worker that shows its life by heartbeat only.
pub(super) async fn worker(on: &StoreFixture) -> (WorkerId, Box<dyn Lease>) {
    worker_with(on, TTL).await
}

pub(super) async fn worker_with(on: &StoreFixture, ttl: Duration) -> (WorkerId, Box<dyn Lease>) {
    let id = IdSource.worker();
    let lease = on.store.leases.register(id, "contract", ttl, false).await.expect("register a worker");
    (id, lease)
}

/// Claims, and must not be refused.
pub(super) async fn claim(on: &StoreFixture, worker: WorkerId, dispatches: Vec<Dispatch>) -> Vec<ClaimedJob> {
    on.store.attempts.claim(Claim { worker, lease: IdSource.lease(), dispatches }).await.expect("claim")
}

/// A dispatch that no store has made, for one job.
pub(super) fn made_up_dispatch(job: JobId) -> Dispatch {
    let (queue, kind) = (queue("default"), kind("test.echo"));
    Dispatch { id: i64::from(i32::MAX), queue, band: Band::Normal, kind, jobs: vec![job] }
}

/// A job that runs, and who runs it.
pub(super) struct Running {
    pub(super) id: JobId,
    pub(super) fence: Fence,
    pub(super) lease: LeaseId,
    pub(super) worker: WorkerId,
    pub(super) life: Box<dyn Lease>,
}

impl Running {
    /// Its end, not yet recorded.
    pub(super) fn ends(&self, ended: Ended) -> Finish {
        Finish { fence: self.fence, worker: self.worker, ended, lease_done: Some(self.lease) }
    }
}

/// A job that runs, under a worker of its own.
pub(super) async fn running(on: &StoreFixture, job: NewJob) -> Running {
    let id = job.id;
    let dispatches = accepted(on, vec![job]).await;
    running_again(on, id, dispatches).await
}

/// The same for a job that waits already.
pub(super) async fn running_again(on: &StoreFixture, id: JobId, dispatches: Vec<Dispatch>) -> Running {
    let (worker, life) = worker(on).await;
    let claimed = claim(on, worker, dispatches).await;
    let claimed = claimed.into_iter().find(|c| c.fence.job == id).expect("the job was there to claim");
    Running { id, fence: claimed.fence, lease: claimed.lease, worker, life }
}

/// Records one end.
pub(super) async fn finish(on: &StoreFixture, end: Finish) -> Finished {
    let mut answers = on.store.attempts.finish(&[end]).await.expect("finish");
    assert_eq!(answers.len(), 1);
    answers.remove(0).expect("an end that can be kept")
}

/// Records one end, which must be recorded.
pub(super) async fn finished(on: &StoreFixture, running: &Running, ended: Ended) -> Job {
    let answer = finish(on, running.ends(ended)).await;
    let job = find(on, running.id).await;
    assert_eq!(
        answer,
        Finished::Recorded(raincheck_shared::store::Change { id: job.id, version: job.version, status: job.status })
    );
    job
}

pub(super) fn succeeded(bytes: &[u8]) -> Ended {
    let payload = Payload { content_type: "application/json".to_owned(), bytes: Bytes::copy_from_slice(bytes) };
    Ended::Succeeded(Output { content: payload.into(), digest: [7; 32] })
}

pub(super) fn failure(attempt: i32) -> Failure {
    Failure::new(FailureCode::HandlerError, "it said \"no\" – ünïcode 🌧", true, attempt).with_detail(b"line 1\nline 2")
}

pub(super) fn retry(after: Duration) -> Ended {
    Ended::Retry { error: failure(1), delay: after }
}

/// Fires what is due, as the loop does.
pub(super) async fn fire(on: &StoreFixture) -> raincheck_shared::store::Moved {
    on.store.upkeep.fire_timers(100).await.expect("fire timers")
}

/// Rescues everybody who is dead, as the loop does.
pub(super) async fn rescue_all(on: &StoreFixture, max_crashes: i32) -> Vec<raincheck_shared::store::Moved> {
    let mut rescued = Vec::new();
    while let Some(moved) = on.store.upkeep.rescue_dead_worker(max_crashes, Some(HOUR), HOUR).await.expect("rescue") {
        rescued.push(moved);
        assert!(rescued.len() < 1000, "the same worker is rescued again and again");
    }
    rescued
}
