//! Erasing: what goes before its job.

use std::time::Duration;

use raincheck_shared::domain::{Ended, NewJob, Payload, Status};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Change, Erased};

use super::against_each_store;
use super::given::{DAY, HOUR, accepted, failure, find, finished, job, running, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    an_erased_job_tells_that_it_was_and_nothing_of_what_it_held,
    the_bytes_are_gone_from_the_row,
    a_live_job_is_not_erased,
    an_erased_failure_keeps_its_code_and_loses_its_words,
    an_input_goes_so_long_after_its_job_ended_and_the_result_stays,
    an_input_that_is_to_go_stays_while_its_job_is_live,
    a_job_without_such_a_wish_has_no_row_for_it,
}

fn secret() -> NewJob {
    NewJob { input: Payload::json(&b"\"who must not be named\""[..]).into(), ..job() }
}

fn brief() -> NewJob {
    NewJob { input_retention: Some(HOUR), ..secret() }
}

async fn an_erased_job_tells_that_it_was_and_nothing_of_what_it_held(on: &StoreFixture) {
    let run = running(on, secret()).await;
    let end = finished(on, &run, succeeded(b"\"nor this\"")).await;
    let answer = on.store.erasures.erase_job(run.id).await.expect("erase");
    let change = Change { id: run.id, version: end.version + 1, status: Status::Succeeded };
    assert_eq!(answer, Erased::Now(change));
    let erased = find(on, run.id).await;
    assert_eq!((erased.version, erased.status, &erased.result), (change.version, change.status, &None));
    assert_eq!((erased.finished_at, erased.expires_at), (end.finished_at, end.expires_at));
    assert!(erased.erased_at.is_some());
    assert_eq!(on.store.jobs.find_result(run.id).await.expect("read"), None);
    assert_eq!(on.store.jobs.find_input(run.id).await.expect("read"), None);
    // Again, it is as it was.
    assert_eq!(on.store.erasures.erase_job(run.id).await.expect("erase"), Erased::Already);
    assert_eq!(find(on, run.id).await, erased);
    assert_eq!(on.store.erasures.erase_job(IdSource.job()).await.expect("erase"), Erased::Unknown);
}

async fn the_bytes_are_gone_from_the_row(on: &StoreFixture) {
    let run = running(on, secret()).await;
    finished(on, &run, succeeded(b"\"nor this\"")).await;
    let held = "SELECT CAST(COALESCE(sum(length(input) + length(result)), 0) AS bigint) FROM jobs";
    assert!(on.number(held.to_owned()).await > 20);
    on.store.erasures.erase_job(run.id).await.expect("erase");
    assert_eq!(on.number(held.to_owned()).await, 0);
}

async fn a_live_job_is_not_erased(on: &StoreFixture) {
    let waiting = secret();
    accepted(on, vec![waiting.clone()]).await;
    let run = running(on, secret()).await;
    for (id, status) in [(waiting.id, Status::Queued), (run.id, Status::InProgress)] {
        assert_eq!(on.store.erasures.erase_job(id).await.expect("erase"), Erased::Live(status));
        assert!(on.store.jobs.find_input(id).await.expect("read").is_some());
    }
}

async fn an_erased_failure_keeps_its_code_and_loses_its_words(on: &StoreFixture) {
    let run = running(on, secret()).await;
    let end = finished(on, &run, Ended::Failed(failure(1))).await;
    on.store.erasures.erase_job(run.id).await.expect("erase");
    let (before, after) = (end.error.expect("an error"), find(on, run.id).await);
    let error = after.error.expect("an error");
    assert_eq!((error.code, error.retryable, error.attempt), (before.code, before.retryable, before.attempt));
    assert_eq!((error.message.as_str(), error.detail), ("erased", None));
    assert!(after.attempts.is_empty() && after.progress.is_none());
}

async fn an_input_goes_so_long_after_its_job_ended_and_the_result_stays(on: &StoreFixture) {
    let run = running(on, brief()).await;
    let end = finished(on, &run, succeeded(b"1")).await;
    on.store.erasures.erase_due_inputs(10).await.expect("erase");
    assert!(on.store.jobs.find_input(run.id).await.expect("read").is_some(), "too early");
    assert_eq!(on.store.erasures.find_input_retention(run.id).await.expect("read"), Some(HOUR));
    on.age(HOUR + Duration::from_secs(1)).await;
    on.store.erasures.erase_due_inputs(10).await.expect("erase");
    assert_eq!(on.store.jobs.find_input(run.id).await.expect("read"), None);
    assert_eq!(on.store.erasures.find_input_retention(run.id).await.expect("read"), None, "it has gone");
    assert_eq!(on.number("SELECT CAST(length(input) AS bigint) FROM jobs".to_owned()).await, 0);
    let after = find(on, run.id).await;
    assert_eq!((after.version, after.result, after.erased_at), (end.version, end.result, None));
    assert_eq!(on.count("erasures").await, 0);
}

async fn an_input_that_is_to_go_stays_while_its_job_is_live(on: &StoreFixture) {
    let run = running(on, brief()).await;
    for _ in 0..3 {
        on.age(2 * HOUR).await;
        on.store.erasures.erase_due_inputs(10).await.expect("erase");
        assert!(on.store.jobs.find_input(run.id).await.expect("read").is_some());
    }
    finished(on, &run, succeeded(b"1")).await;
    on.age(HOUR + Duration::from_secs(1)).await;
    on.store.erasures.erase_due_inputs(10).await.expect("erase");
    assert_eq!(on.store.jobs.find_input(run.id).await.expect("read"), None);
}

async fn a_job_without_such_a_wish_has_no_row_for_it(on: &StoreFixture) {
    let plain = job();
    let pointless = NewJob { input_retention: Some(7 * DAY), ..job() };
    accepted(on, vec![plain, pointless.clone(), brief()]).await;
    assert_eq!(on.count("erasures").await, 1, "an input is not kept longer than its job anyway");
}
