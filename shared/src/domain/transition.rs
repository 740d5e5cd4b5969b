//! The state machine: which command may move a job from where to where.
//!
//! [`apply`] is the only table. Every SQL statement that changes a status repeats its guard in `WHERE`;
//! the store contract suite runs each command against each state and compares with this.

use super::ids::Timestamp;
use super::status::Status;

/// As much of a job as decides what may happen to it next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// Where it stands.
    pub status: Status,
    /// Attempts that count so far, the running one included.
    pub attempt: i32,
    /// Whether any attempt has ever started: an `expired` job never did.
    pub started: bool,
    /// Whether a cancel was asked for while it ran.
    pub cancel_requested: bool,
    /// Times that its worker died under it.
    pub crashes: i32,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// When it ended; set exactly when the status is final.
    pub finished_at: Option<Timestamp>,
}

/// What can happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Its `run_at` or its next attempt has come.
    Enqueue,
    /// A worker takes it.
    Claim,
    /// Its handler returned a result.
    Succeed,
    /// Its handler failed in a way that another attempt may mend.
    Retry,
    /// Its handler failed for good.
    Fail,
    /// Its handler asks to be called again later; costs no attempt.
    Snooze,
    /// Its worker gives it back, draining; costs no attempt.
    Release,
    /// Its worker died; costs no attempt but counts as a crash.
    Lose {
        /// Crashes after which the job itself is held to be the cause.
        max_crashes: i32,
    },
    /// Somebody asks that it stop.
    Cancel,
    /// The grace after a cancel is over and the handler has not stopped.
    Revoke,
    /// The time by which it had to start has passed.
    Expire {
        /// Whether that is its deadline, after which no attempt starts, not even another one.
        past_deadline: bool,
    },
}

/// The command does not apply to a job in that status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{command:?} does not apply to a job that is {status}")]
pub struct Refused {
    /// Where the job stood.
    pub status: Status,
    /// What was refused.
    pub command: Command,
}

/// What `command` makes of a job in `state` at `now`.
pub fn apply(state: &State, command: Command, now: Timestamp) -> Result<State, Refused> {
    use Command as C;
    use Status as S;

    let to = |status: Status| State { status, finished_at: status.is_done().then_some(now), ..*state };
    // Whatever the handler made of it: once a cancel was asked for, the end of the attempt is the cancel.
    let unless_canceled = |otherwise: State| if state.cancel_requested { to(S::Canceled) } else { otherwise };
    let uncounted = State { attempt: state.attempt - 1, ..*state };

    Ok(match (state.status, command) {
        (S::Scheduled | S::Retrying, C::Enqueue) => to(S::Queued),
        (S::Queued, C::Claim) => State { attempt: state.attempt + 1, started: true, ..to(S::InProgress) },

        (S::InProgress, C::Succeed) => unless_canceled(to(S::Succeeded)),
        (S::InProgress, C::Fail) => unless_canceled(to(S::Failed)),
        (S::InProgress, C::Retry) if state.attempt >= state.max_attempts => unless_canceled(to(S::Failed)),
        (S::InProgress, C::Retry) => unless_canceled(to(S::Retrying)),
        (S::InProgress, C::Snooze) => unless_canceled(State { status: S::Retrying, ..uncounted }),
        (S::InProgress, C::Release) => unless_canceled(State { status: S::Queued, ..uncounted }),
        (S::InProgress, C::Lose { max_crashes }) => {
            let crashes = state.crashes + 1;
            unless_canceled(if crashes >= max_crashes {
                State { crashes, ..to(S::Failed) }
            } else {
                State { status: S::Queued, crashes, ..uncounted }
            })
        }

        (S::Scheduled | S::Queued | S::Retrying, C::Cancel) => to(S::Canceled),
        (S::InProgress, C::Cancel) => State { cancel_requested: true, ..*state },
        (S::InProgress, C::Revoke) if state.cancel_requested => to(S::Canceled),
        (S::Scheduled | S::Queued, C::Expire { .. }) if !state.started => to(S::Expired),
        (S::Queued | S::Retrying, C::Expire { past_deadline: true }) if state.started => to(S::Failed),

        (status, command) => return Err(Refused { status, command }),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn state(status: Status) -> State {
        State {
            status,
            attempt: i32::from(matches!(status, Status::InProgress | Status::Retrying)),
            started: matches!(status, Status::InProgress | Status::Retrying),
            cancel_requested: false,
            crashes: 0,
            max_attempts: 3,
            finished_at: status.is_done().then_some(NOW),
        }
    }

    const COMMANDS: [Command; 12] = [
        Command::Enqueue,
        Command::Claim,
        Command::Succeed,
        Command::Retry,
        Command::Fail,
        Command::Snooze,
        Command::Release,
        Command::Lose { max_crashes: 5 },
        Command::Cancel,
        Command::Revoke,
        Command::Expire { past_deadline: false },
        Command::Expire { past_deadline: true },
    ];

    #[test]
    fn every_state_answers_every_command() {
        use Status::{Canceled, Expired, Failed, InProgress, Queued, Retrying, Scheduled, Succeeded};
        // Columns as in COMMANDS; `None`: refused.
        let table: [(Status, [Option<Status>; 12]); 8] = [
            (
                Scheduled,
                [
                    Some(Queued),
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    Some(Canceled),
                    None,
                    Some(Expired),
                    Some(Expired),
                ],
            ),
            (
                Queued,
                [
                    None,
                    Some(InProgress),
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    Some(Canceled),
                    None,
                    Some(Expired),
                    Some(Expired),
                ],
            ),
            (
                InProgress,
                [
                    None,
                    None,
                    Some(Succeeded),
                    Some(Retrying),
                    Some(Failed),
                    Some(Retrying),
                    Some(Queued),
                    Some(Queued),
                    Some(InProgress),
                    None,
                    None,
                    None,
                ],
            ),
            (
                Retrying,
                [Some(Queued), None, None, None, None, None, None, None, Some(Canceled), None, None, Some(Failed)],
            ),
            (Succeeded, [None; 12]),
            (Failed, [None; 12]),
            (Canceled, [None; 12]),
            (Expired, [None; 12]),
        ];
        for (from, row) in table {
            for (command, expected) in COMMANDS.into_iter().zip(row) {
                let got = apply(&state(from), command, NOW).ok().map(|s| s.status);
                assert_eq!(got, expected, "{from} × {command:?}");
            }
        }
    }

    #[test]
    fn once_a_cancel_was_asked_for_every_end_of_the_attempt_is_canceled() {
        let asked = State { cancel_requested: true, ..state(Status::InProgress) };
        for command in COMMANDS {
            if let Ok(next) = apply(&asked, command, NOW) {
                let expected = if command == Command::Cancel { Status::InProgress } else { Status::Canceled };
                assert_eq!(next.status, expected, "{command:?}");
            }
        }
    }

    #[test]
    fn the_last_attempt_and_the_last_crash_fail_the_job() {
        let last = State { attempt: 3, ..state(Status::InProgress) };
        assert_eq!(apply(&last, Command::Retry, NOW).map(|s| s.status), Ok(Status::Failed));
        let crashed = State { crashes: 4, ..state(Status::InProgress) };
        assert_eq!(apply(&crashed, Command::Lose { max_crashes: 5 }, NOW).map(|s| s.status), Ok(Status::Failed));
    }

    #[test]
    fn a_job_that_has_started_once_never_expires_and_fails_at_its_deadline() {
        let rescued = State { started: true, ..state(Status::Queued) };
        assert!(apply(&rescued, Command::Expire { past_deadline: false }, NOW).is_err());
        let late = apply(&rescued, Command::Expire { past_deadline: true }, NOW);
        assert_eq!(late.map(|s| s.status), Ok(Status::Failed));
    }

    proptest! {
        /// Whatever happens to a job, in whatever order: what is final stays, an end has a time and only an
        /// end has one, and no more attempts count than are allowed.
        #[test]
        fn any_history_keeps_the_rules(picks in proptest::collection::vec(0..COMMANDS.len(), 0..60), scheduled: bool) {
            let mut at = state(if scheduled { Status::Scheduled } else { Status::Queued });
            for pick in picks {
                let before = at;
                if let Ok(next) = apply(&at, COMMANDS[pick], NOW) {
                    prop_assert!(!before.status.is_done(), "a final status changed");
                    at = next;
                }
                prop_assert_eq!(at.finished_at.is_some(), at.status.is_done());
                prop_assert!((0..=at.max_attempts).contains(&at.attempt));
                prop_assert!(at.crashes <= 5);
            }
        }
    }
}
