//! The store agrees with the state machine: every state meets every command, and what is stored afterwards is what
//! `domain::apply` says.

use raincheck_shared::domain::{Command, Ended, Fence, Job, JobId, NewJob, State, Status, TenantName, WorkerId, apply};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::Finish;

use super::against_each_store;
use super::given::{
    HOUR, accepted, claim, failure, find, finish, finished, fire, job, made_up_dispatch, now, rescue_all, retry,
    running, running_again, scheduled_job, succeeded, worker,
};
use crate::harness::store::StoreFixture;

against_each_store! {
    every_state_answers_every_command_as_the_state_machine_says,
}

const MAX_CRASHES: i32 = 2;

const COMMANDS: [Command; 12] = [
    Command::Enqueue,
    Command::Claim,
    Command::Succeed,
    Command::Retry,
    Command::Fail,
    Command::Snooze,
    Command::Release,
    Command::Lose { max_crashes: MAX_CRASHES },
    Command::Cancel,
    Command::Revoke,
    Command::Expire { past_deadline: false },
    Command::Expire { past_deadline: true },
];

/// The eight statuses, and where a status alone does not decide, what does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Scheduled,
    Queued,
    QueuedAfterACrash,
    Running,
    RunningItsLastAttempt,
    RunningAfterACrash,
    RunningAndToBeCanceled,
    Retrying,
    Succeeded,
    Failed,
    Canceled,
    Expired,
}

const STARTS: [Start; 12] = [
    Start::Scheduled,
    Start::Queued,
    Start::QueuedAfterACrash,
    Start::Running,
    Start::RunningItsLastAttempt,
    Start::RunningAfterACrash,
    Start::RunningAndToBeCanceled,
    Start::Retrying,
    Start::Succeeded,
    Start::Failed,
    Start::Canceled,
    Start::Expired,
];

/// A job on the stage, and who shows what to the store in its name.
struct Actor {
    id: JobId,
    fence: Fence,
    worker: WorkerId,
}

async fn every_state_answers_every_command_as_the_state_machine_says(on: &StoreFixture) {
    for start in STARTS {
        for command in COMMANDS {
            let actor = bring_to(on, start).await;
            if matches!(command, Command::Lose { .. }) {
                on.plant_lease(actor.worker, actor.id).await;
                on.age(HOUR).await;
            }
            if command == (Command::Expire { past_deadline: true }) {
                on.pass_deadline(actor.id).await;
            }
            let (before, state) = look(on, actor.id).await;
            give(on, &actor, command).await;
            let (after, stored) = look(on, actor.id).await;

            let case = format!("{start:?} × {command:?}");
            match apply(&state, command, now()) {
                Ok(expected) => {
                    // When exactly it ended is the store's to say, and a job that was canceled while it waited shows
                    // its cancel although no handler was ever asked.
                    let State { finished_at, cancel_requested, .. } = stored;
                    let shows_cancel = expected.cancel_requested || expected.status == Status::Canceled;
                    assert_eq!(stored, State { finished_at, cancel_requested, ..expected }, "{case}");
                    assert_eq!(cancel_requested, shows_cancel, "{case}");
                    assert_eq!(finished_at.is_some(), expected.status.is_done(), "{case}");
                    if expected != state {
                        assert_eq!(after.version, before.version + 1, "{case}: one visible change, one version");
                    }
                    assert!(after.version >= before.version, "{case}: versions only rise");
                }
                Err(_) => assert_eq!(after, before, "{case}: refused, so nothing changes"),
            }
            assert_eq!(after.expires_at.is_some(), after.status.is_done(), "{case}");
            assert_eq!(after.result.is_some(), after.status == Status::Succeeded, "{case}");
            assert_eq!(after.error.is_some(), after.status == Status::Failed, "{case}");
            assert_eq!(after.next_attempt_at.is_some(), after.status == Status::Retrying, "{case}");
            if after.status.is_done() {
                assert_eq!(
                    finish(on, Finish { worker: IdSource.worker(), ..end(&actor, succeeded(b"late")) }).await,
                    raincheck_shared::store::Finished::Fenced,
                    "{case}"
                );
            }
        }
    }
}

async fn look(on: &StoreFixture, id: JobId) -> (Job, State) {
    let job = find(on, id).await;
    let state = State {
        status: job.status,
        attempt: job.attempt,
        started: job.started_at.is_some(),
        cancel_requested: job.cancel.is_some(),
        crashes: i32::try_from(on.crashes_of(id).await).expect("few crashes"),
        max_attempts: job.max_attempts,
        finished_at: job.finished_at,
    };
    (job, state)
}

async fn bring_to(on: &StoreFixture, start: Start) -> Actor {
    let new = NewJob {
        run_at: (start == Start::Scheduled).then(|| now() + HOUR + HOUR),
        max_attempts: if start == Start::RunningItsLastAttempt { 1 } else { 3 },
        ..job()
    };
    let id = new.id;
    let unheld = |worker| Actor { id, fence: Fence { job: id, attempt: 1, token: IdSource.random() }, worker };
    match start {
        Start::Scheduled | Start::Queued => {
            accepted(on, vec![new]).await;
            unheld(worker(on).await.0)
        }
        Start::QueuedAfterACrash => {
            crash(on, new).await;
            unheld(worker(on).await.0)
        }
        Start::RunningAfterACrash => {
            let dispatches = crash(on, new).await;
            let running = running_again(on, id, dispatches).await;
            Actor { id, fence: running.fence, worker: running.worker }
        }
        Start::Expired => {
            let new = NewJob { start_by: Some(now() - HOUR), ..scheduled_job(HOUR) };
            accepted(on, vec![NewJob { id, ..new }]).await;
            fire(on).await;
            unheld(worker(on).await.0)
        }
        Start::Running | Start::RunningItsLastAttempt => {
            let running = running(on, new).await;
            Actor { id, fence: running.fence, worker: running.worker }
        }
        Start::RunningAndToBeCanceled => {
            let running = running(on, new).await;
            on.store.jobs.cancel_job(&TenantName::default(), id, None, HOUR).await.expect("cancel");
            Actor { id, fence: running.fence, worker: running.worker }
        }
        Start::Retrying | Start::Succeeded | Start::Failed | Start::Canceled => {
            let running = running(on, new).await;
            match start {
                Start::Retrying => finished(on, &running, retry(HOUR + HOUR)).await,
                Start::Succeeded => finished(on, &running, succeeded(b"1")).await,
                Start::Failed => finished(on, &running, Ended::Failed(failure(1))).await,
                _ => {
                    on.store.jobs.cancel_job(&TenantName::default(), id, None, HOUR).await.expect("cancel");
                    finished(on, &running, succeeded(b"1")).await
                }
            };
            Actor { id, fence: running.fence, worker: running.worker }
        }
    }
}

/// Lets a job's worker die, and answers the dispatches that followed from it.
async fn crash(on: &StoreFixture, new: NewJob) -> Vec<raincheck_shared::domain::Dispatch> {
    let id = new.id;
    running(on, new).await;
    on.age(HOUR).await;
    let moved = rescue_all(on, MAX_CRASHES).await;
    moved.into_iter().flat_map(|m| m.dispatches).filter(|d| d.jobs.contains(&id)).collect()
}

fn end(actor: &Actor, ended: Ended) -> Finish {
    Finish { fence: actor.fence, worker: actor.worker, ended, lease_done: None }
}

async fn give(on: &StoreFixture, actor: &Actor, command: Command) {
    match command {
        Command::Enqueue => {
            on.plant_timer(actor.id, "enqueue", None).await;
            fire_all(on).await;
        }
        Command::Revoke => {
            on.plant_timer(actor.id, "revoke", Some(actor.worker)).await;
            fire_all(on).await;
        }
        Command::Expire { .. } => {
            on.plant_timer(actor.id, "expire", None).await;
            fire_all(on).await;
        }
        Command::Claim => {
            let (other, _life) = worker(on).await;
            claim(on, other, vec![made_up_dispatch(actor.id)]).await;
        }
        Command::Succeed => attempt_ends(on, actor, succeeded(b"1")).await,
        Command::Retry => attempt_ends(on, actor, retry(HOUR)).await,
        Command::Fail => attempt_ends(on, actor, Ended::Failed(failure(1))).await,
        Command::Snooze => attempt_ends(on, actor, Ended::Snoozed(HOUR)).await,
        Command::Release => attempt_ends(on, actor, Ended::Released).await,
        Command::Lose { max_crashes } => {
            rescue_all(on, max_crashes).await;
        }
        Command::Cancel => {
            on.store.jobs.cancel_job(&TenantName::default(), actor.id, None, HOUR).await.expect("cancel");
        }
    }
}

async fn attempt_ends(on: &StoreFixture, actor: &Actor, ended: Ended) {
    finish(on, end(actor, ended)).await;
}

async fn fire_all(on: &StoreFixture) {
    while fire(on).await.more {}
}
