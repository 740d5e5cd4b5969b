//! Finishing: the end of an attempt is recorded once, and only for whoever holds it.

use std::time::Duration;

use bytes::Bytes;
use raincheck_shared::domain::{Ended, Fence, Output, Payload, Progress, Status, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Finish, Finished, ProgressReport, StoreError};

use super::against_each_store;
use super::given::{
    DAY, HOUR, accepted, claim, failure, find, finish, finished, fire, job, keyed_job, now, rescue_all, retry, running,
    running_again, succeeded, worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_success_keeps_its_result,
    a_failure_keeps_its_error_and_history,
    an_ended_job_is_kept_for_its_retention_and_a_day_for_its_key,
    a_retry_is_due_after_its_delay_and_then_queued_again,
    the_last_attempt_fails_with_the_error_as_it_was_given,
    a_snooze_costs_no_attempt,
    a_released_job_waits_again_and_costs_no_attempt,
    the_end_of_an_attempt_that_was_to_be_canceled_is_the_cancel,
    a_fence_that_does_not_fit_changes_nothing,
    a_stale_worker_cannot_finish_a_rescued_job,
    a_repeated_end_is_recorded_once_and_answered_again,
    a_repeated_end_of_an_uncounted_attempt_is_answered_again,
    the_last_end_of_a_claim_removes_its_lease,
    ends_are_answered_in_their_order_and_a_bad_one_fails_alone,
    progress_raises_the_version_and_is_fenced,
}

async fn a_success_keeps_its_result(on: &StoreFixture) {
    let running = running(on, job()).await;
    let job = finished(on, &running, succeeded(b"{ \"sum\":  3 }")).await;
    assert_eq!((job.status, job.version, job.attempt), (Status::Succeeded, 3, 1));
    let result = job.result.expect("a result");
    assert_eq!((result.content_type.as_str(), result.size, result.digest), ("application/json", 13, [7; 32]));
    assert_eq!(result.inline, Some(Bytes::from_static(b"{ \"sum\":  3 }")));
    assert_eq!((job.error, job.attempts.len()), (None, 0));
    assert_eq!(job.worker, Some(running.worker));
    assert!(job.finished_at.expect("an end") >= job.started_at.expect("a start"));
}

async fn a_failure_keeps_its_error_and_history(on: &StoreFixture) {
    let running = running(on, job()).await;
    let job = finished(on, &running, Ended::Failed(failure(1))).await;
    assert_eq!((job.status, job.version, job.attempt), (Status::Failed, 3, 1));
    assert_eq!(job.error, Some(failure(1)));
    assert_eq!(job.attempts.len(), 1);
    assert_eq!(job.attempts[0].error, failure(1));
    assert_eq!(job.attempts[0].worker, Some(running.worker.as_uuid()));
    assert_eq!(job.attempts[0].started_at, job.started_at);
    assert_eq!(Some(job.attempts[0].ended_at), job.finished_at);
    assert_eq!(job.result, None);
}

async fn an_ended_job_is_kept_for_its_retention_and_a_day_for_its_key(on: &StoreFixture) {
    let kept_for = |job: raincheck_shared::domain::Job| {
        job.expires_at.expect("an end has an expiry") - job.finished_at.expect("an end")
    };
    for (key, retention, expected) in
        [(None, HOUR, HOUR), (None, 3 * DAY, 3 * DAY), (Some("a"), HOUR, DAY), (Some("b"), 3 * DAY, 3 * DAY)]
    {
        let new = key.map_or_else(job, |key| keyed_job(key, 1));
        let new = raincheck_shared::domain::NewJob { retention, ..new };
        let running = running(on, new).await;
        assert_eq!(kept_for(finished(on, &running, succeeded(b"1")).await), expected);
    }
    // Whatever ends it: a cancel too.
    let new = raincheck_shared::domain::NewJob { retention: HOUR, ..keyed_job("c", 1) };
    accepted(on, vec![new.clone()]).await;
    on.store.jobs.cancel_job(&TenantName::default(), new.id, None, HOUR).await.expect("cancel");
    assert_eq!(kept_for(find(on, new.id).await), DAY);
}

async fn a_retry_is_due_after_its_delay_and_then_queued_again(on: &StoreFixture) {
    let first = running(on, job()).await;
    let job = finished(on, &first, retry(HOUR)).await;
    assert_eq!((job.status, job.version, job.attempt), (Status::Retrying, 3, 1));
    let due_in = job.next_attempt_at.expect("the next attempt is due") - now();
    assert!(due_in > Duration::from_mins(59) && due_in <= HOUR, "{due_in}");
    assert_eq!((job.error, job.finished_at, job.expires_at), (None, None, None));
    assert_eq!(job.attempts.len(), 1);
    assert_eq!(job.attempts[0].error, failure(1));

    assert!(fire(on).await.changes.is_empty(), "not before its time");
    on.age(HOUR).await;
    let moved = fire(on).await;
    assert_eq!(moved.changes.len(), 1);
    assert_eq!((moved.changes[0].id, moved.changes[0].version, moved.changes[0].status), (first.id, 4, Status::Queued));
    let queued = find(on, first.id).await;
    assert_eq!((queued.status, queued.version, queued.next_attempt_at), (Status::Queued, 4, None));
    assert_eq!(on.count("timers").await, 0);

    let second = running_again(on, first.id, moved.dispatches).await;
    assert_eq!(second.fence.attempt, 2);
    let job = finished(on, &second, succeeded(b"2")).await;
    assert_eq!((job.status, job.attempt, job.attempts.len()), (Status::Succeeded, 2, 1));
}

async fn the_last_attempt_fails_with_the_error_as_it_was_given(on: &StoreFixture) {
    let running = running(on, raincheck_shared::domain::NewJob { max_attempts: 1, ..job() }).await;
    let job = finished(on, &running, retry(HOUR)).await;
    assert_eq!((job.status, job.attempt), (Status::Failed, 1));
    assert_eq!(job.error, Some(failure(1)));
    assert_eq!(job.next_attempt_at, None);
    assert_eq!(job.attempts.len(), 1);
    assert_eq!(on.count("timers").await, 0);
}

async fn a_snooze_costs_no_attempt(on: &StoreFixture) {
    let first = running(on, job()).await;
    let job = finished(on, &first, Ended::Snoozed(HOUR)).await;
    assert_eq!((job.status, job.version, job.attempt), (Status::Retrying, 3, 0));
    assert!(job.next_attempt_at.is_some_and(|due| due > now()));
    assert_eq!(job.attempts, []);
    on.age(HOUR).await;
    let moved = fire(on).await;
    let second = running_again(on, first.id, moved.dispatches).await;
    assert_eq!(second.fence.attempt, 1);
    assert_ne!(second.fence.token, first.fence.token);
}

async fn a_released_job_waits_again_and_costs_no_attempt(on: &StoreFixture) {
    let first = running(on, job()).await;
    assert_eq!(on.count("dispatches").await, 0);
    let job = finished(on, &first, Ended::Released).await;
    assert_eq!((job.status, job.version, job.attempt), (Status::Queued, 3, 0));
    assert_eq!((job.attempts.len(), job.finished_at), (0, None));
    // Nobody was handed its dispatch, so any relay may publish it at once.
    let dispatches = on.store.outbox.take_unpublished(10, HOUR).await.expect("take");
    assert_eq!(dispatches.len(), 1);
    assert_eq!(dispatches[0].jobs, [first.id]);
    let second = running_again(on, first.id, dispatches).await;
    assert_eq!(second.fence.attempt, 1);
}

async fn the_end_of_an_attempt_that_was_to_be_canceled_is_the_cancel(on: &StoreFixture) {
    let ends = [succeeded(b"1"), retry(HOUR), Ended::Failed(failure(1)), Ended::Snoozed(HOUR), Ended::Released];
    for ended in ends {
        let running = running(on, job()).await;
        on.store.jobs.cancel_job(&TenantName::default(), running.id, Some("enough"), HOUR).await.expect("cancel");
        let job = finished(on, &running, ended.clone()).await;
        assert_eq!((job.status, job.version), (Status::Canceled, 4), "{ended:?}");
        let cancel = job.cancel.expect("the cancel");
        assert_eq!(cancel.reason.as_deref(), Some("enough"));
        assert_eq!(cancel.acknowledged_at, job.finished_at, "the handler is known to have stopped");
        assert_eq!((job.result, job.error, job.next_attempt_at), (None, None, None));
        assert_eq!(on.timers_of(running.id).await, 0);
    }
    assert_eq!((on.count("dispatches").await, on.count("timers").await), (0, 0));
}

async fn a_fence_that_does_not_fit_changes_nothing(on: &StoreFixture) {
    let running = running(on, job()).await;
    let before = find(on, running.id).await;
    let fence = running.fence;
    let wrong = [
        (Fence { token: IdSource.random(), ..fence }, running.worker),
        (Fence { attempt: fence.attempt + 1, ..fence }, running.worker),
        (Fence { attempt: fence.attempt - 1, ..fence }, running.worker),
        (Fence { job: IdSource.job(), ..fence }, running.worker),
        (fence, IdSource.worker()),
    ];
    for (fence, worker) in wrong {
        for ended in [succeeded(b"1"), retry(HOUR), Ended::Failed(failure(1)), Ended::Snoozed(HOUR), Ended::Released] {
            let answer = finish(on, Finish { fence, worker, ended, lease_done: None }).await;
            assert_eq!(answer, Finished::Fenced, "{fence:?} by {worker}");
        }
    }
    assert_eq!(find(on, running.id).await, before);
    assert_eq!((on.count("timers").await, on.count("dispatches").await, on.count("leases").await), (0, 0, 1));
    // The right one is as good as ever.
    finished(on, &running, succeeded(b"1")).await;
}

async fn a_stale_worker_cannot_finish_a_rescued_job(on: &StoreFixture) {
    let stale = running(on, job()).await;
    on.age(HOUR).await;
    let moved = rescue_all(on, 5).await;
    assert_eq!(moved.len(), 1);
    let waiting = find(on, stale.id).await;
    assert_eq!(finish(on, stale.ends(succeeded(b"stale"))).await, Finished::Fenced, "while it waits again");
    assert_eq!(find(on, stale.id).await, waiting);

    let fresh = running_again(on, stale.id, moved[0].dispatches.clone()).await;
    assert_eq!(fresh.fence.attempt, stale.fence.attempt, "a crash costs no attempt: the token tells them apart");
    assert_eq!(finish(on, stale.ends(succeeded(b"stale"))).await, Finished::Fenced, "while another runs it");
    let job = finished(on, &fresh, succeeded(b"fresh")).await;
    assert_eq!(finish(on, stale.ends(succeeded(b"stale"))).await, Finished::Fenced, "after another has ended it");
    assert_eq!(find(on, stale.id).await, job);
    assert_eq!(job.result.and_then(|r| r.inline), Some(Bytes::from_static(b"fresh")));
}

async fn a_repeated_end_is_recorded_once_and_answered_again(on: &StoreFixture) {
    for ended in [succeeded(b"1"), Ended::Failed(failure(1)), retry(HOUR)] {
        let running = running(on, job()).await;
        let end = running.ends(ended);
        let first = finish(on, end.clone()).await;
        let job = find(on, running.id).await;
        let Finished::Recorded(change) = first else { panic!("{first:?}") };
        let before = Finished::Before(change);
        assert_eq!(finish(on, end.clone()).await, before);
        // Also twice in one batch, and also when it now claims another end.
        let other = Finish { ended: Ended::Failed(failure(9)), ..end.clone() };
        let answers = on.store.attempts.finish(&[end, other]).await.expect("finish");
        for answer in answers {
            assert_eq!(answer.expect("can be kept"), before);
        }
        assert_eq!(find(on, running.id).await, job);
    }
}

async fn a_repeated_end_of_an_uncounted_attempt_is_answered_again(on: &StoreFixture) {
    for ended in [Ended::Released, Ended::Snoozed(HOUR)] {
        let running = running(on, job()).await;
        let end = running.ends(ended);
        let Finished::Recorded(first) = finish(on, end.clone()).await else { panic!("it is theirs") };
        let (job, dispatches) = (find(on, running.id).await, on.count("dispatches").await);
        assert_eq!(finish(on, end).await, Finished::Before(first));
        assert_eq!(find(on, running.id).await, job);
        assert_eq!(on.count("dispatches").await, dispatches, "it waits once");
    }
}

async fn the_last_end_of_a_claim_removes_its_lease(on: &StoreFixture) {
    let dispatches = accepted(on, vec![job(), job()]).await;
    let (worker, _life) = worker(on).await;
    let claimed = claim(on, worker, dispatches).await;
    let end =
        |index: usize, lease_done| Finish { fence: claimed[index].fence, worker, ended: succeeded(b"1"), lease_done };
    finish(on, end(0, None)).await;
    assert_eq!(on.count("leases").await, 1);
    finish(on, end(1, Some(claimed[1].lease))).await;
    assert_eq!(on.count("leases").await, 0);
}

async fn ends_are_answered_in_their_order_and_a_bad_one_fails_alone(on: &StoreFixture) {
    let (one, two, three) = (running(on, job()).await, running(on, job()).await, running(on, job()).await);
    let stranger = Finish { worker: IdSource.worker(), ..two.ends(succeeded(b"2")) };
    let payload = Payload { content_type: "text/\0plain".to_owned(), bytes: Bytes::from_static(b"x") };
    let bad = two.ends(Ended::Succeeded(Output { content: payload.into(), digest: [0; 32] }));
    let batch = [three.ends(succeeded(b"3")), stranger, bad, one.ends(Ended::Released)];
    let answers = on.store.attempts.finish(&batch).await.expect("finish");
    assert!(matches!(&answers[0], Ok(Finished::Recorded(c)) if c.id == three.id && c.status == Status::Succeeded));
    assert!(matches!(&answers[1], Ok(Finished::Fenced)), "{:?}", answers[1]);
    assert!(matches!(&answers[2], Err(StoreError::Rejected(_))), "{:?}", answers[2]);
    assert!(matches!(&answers[3], Ok(Finished::Recorded(c)) if c.id == one.id && c.status == Status::Queued));
    assert_eq!(find(on, two.id).await.status, Status::InProgress, "whoever was refused may still end it otherwise");
    finished(on, &two, Ended::Failed(failure(1))).await;
}

async fn progress_raises_the_version_and_is_fenced(on: &StoreFixture) {
    let running = running(on, job()).await;
    let progress = Progress { percent: 42.5, message: Some("rendering 🌧".to_owned()) };
    let report = |fence| ProgressReport { fence, progress: progress.clone() };
    let stale = report(Fence { token: IdSource.random(), ..running.fence });
    let changes = on.store.attempts.report_progress(&[stale, report(running.fence)]).await.expect("report");
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].id, changes[0].version, changes[0].status), (running.id, 3, Status::InProgress));
    let found = find(on, running.id).await;
    assert_eq!((found.version, found.progress), (3, Some(progress.clone())));

    let done = finished(on, &running, succeeded(b"1")).await;
    assert_eq!(on.store.attempts.report_progress(&[report(running.fence)]).await.expect("report"), []);
    assert_eq!(find(on, running.id).await, done, "a finished job does not change");
}
