//! The samples that estimates are made of.

use raincheck_shared::domain::{Ended, JobId, KindName, NewJob, WorkerReport};
use raincheck_shared::store::RecentRun;

use super::against_each_store;
use super::given::{HOUR, accepted, failure, finished, job, kind, running, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    runs_that_succeeded_are_listed_each_once_and_no_other,
    runs_before_a_long_queue_are_found_though_the_newest_jobs_all_wait,
    what_waits_is_listed_oldest_first_and_bounded,
    a_running_job_tells_when_its_worker_was_last_heard_of,
}

fn kinds(runs: &[RecentRun]) -> Vec<&KindName> {
    runs.iter().map(|run| &run.kind).collect()
}

async fn runs_that_succeeded_are_listed_each_once_and_no_other(on: &StoreFixture) {
    let (good, bad) = (running(on, job()).await, running(on, job()).await);
    let end = finished(on, &good, succeeded(b"1")).await;
    finished(on, &bad, Ended::Failed(failure(1))).await;
    // Two that wait: each place to look from sees the same runs.
    accepted(on, vec![job(), NewJob { kind: kind("test.other"), ..job() }]).await;
    let runs = on.store.survey.list_recent_runs(100).await.expect("runs");
    assert_eq!(kinds(&runs), [&kind("test.echo")]);
    assert_eq!((Some(runs[0].started_at), Some(runs[0].finished_at)), (end.started_at, end.finished_at));
}

async fn runs_before_a_long_queue_are_found_though_the_newest_jobs_all_wait(on: &StoreFixture) {
    let run = running(on, job()).await;
    finished(on, &run, succeeded(b"1")).await;
    accepted(on, (0..20).map(|_| job()).collect()).await;
    let runs = on.store.survey.list_recent_runs(5).await.expect("runs");
    assert_eq!(kinds(&runs), [&kind("test.echo")]);
}

async fn what_waits_is_listed_oldest_first_and_bounded(on: &StoreFixture) {
    let wide: Vec<NewJob> = (0..3).map(|_| NewJob { dispatch_width: 3, ..job() }).collect();
    let urgent = NewJob { priority: 9, ..job() };
    accepted(on, wide.clone()).await;
    accepted(on, vec![urgent.clone()]).await;
    let waiting = on.store.survey.list_waiting(10).await.expect("what waits");
    let seen: Vec<(JobId, u64)> = waiting.iter().map(|batch| (batch.first, batch.jobs)).collect();
    assert_eq!(seen, [(wide[0].id, 3), (urgent.id, 1)]);
    assert_eq!(waiting.iter().map(|batch| batch.band).collect::<Vec<_>>(), [wide[0].band(), urgent.band()]);
    assert_eq!(on.store.survey.list_waiting(1).await.expect("what waits").len(), 1);
}

async fn a_running_job_tells_when_its_worker_was_last_heard_of(on: &StoreFixture) {
    let waiting = job();
    accepted(on, vec![waiting.clone()]).await;
    assert_eq!(super::given::find(on, waiting.id).await.heartbeat_at, None);
    let mut run = running(on, job()).await;
    let before = super::given::find(on, run.id).await.heartbeat_at.expect("a heartbeat");
    on.age(HOUR).await;
    run.life.renew(&WorkerReport::default()).await.expect("renew");
    let after = super::given::find(on, run.id).await.heartbeat_at.expect("a heartbeat");
    assert!(after >= before, "{before} {after}");
    let end = finished(on, &run, succeeded(b"1")).await;
    assert_eq!(end.heartbeat_at, None);
}
