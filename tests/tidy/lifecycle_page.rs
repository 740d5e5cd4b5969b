//! The table of docs/job-lifecycle.md is the table of `domain::apply`.

use raincheck_shared::domain::{Command, State, Status, Timestamp, apply};

use super::assert_tidy;
use super::tree::file;

const COMMANDS: [Command; 11] = [
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
    Command::Expire { past_deadline: true },
];

/// Rows as the page shows them: `| from | command | to |`. A plain case of each; the page tells the rest in words.
fn arrows() -> Vec<String> {
    let mut rows = Vec::new();
    for from in Status::ALL {
        for command in COMMANDS {
            let started = matches!(from, Status::InProgress | Status::Retrying);
            let state = State {
                status: from,
                attempt: i32::from(started),
                started,
                cancel_requested: command == Command::Revoke,
                crashes: 0,
                max_attempts: 3,
                finished_at: from.is_done().then_some(Timestamp::UNIX_EPOCH),
            };
            if let Ok(next) = apply(&state, command, Timestamp::UNIX_EPOCH) {
                let name = format!("{command:?}");
                let name = name.split([' ', '{']).next().unwrap_or_default();
                rows.push(format!("| `{from}` | {name} | `{}` |", next.status));
            }
        }
    }
    rows
}

fn complaints(page: &str, arrows: &[String]) -> Vec<String> {
    let shown = |row: &String| page.lines().any(|line| line.starts_with(row.as_str()));
    let missing = arrows.iter().filter(|row| !shown(row)).map(|row| format!("docs/job-lifecycle.md lacks {row}"));
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let idle = rows.filter(|line| !arrows.iter().any(|row| line.starts_with(row.as_str())));
    missing.chain(idle.map(|line| format!("docs/job-lifecycle.md shows what cannot happen: {line}"))).collect()
}

#[test]
fn the_page_shows_every_arrow_of_the_state_machine_and_no_other() {
    assert_tidy(&complaints(&file("docs/job-lifecycle.md").text, &arrows()));
}

#[test]
fn a_missing_arrow_and_an_invented_one_are_found() {
    let arrows = arrows();
    assert_tidy(&complaints(&arrows.join("\n"), &arrows));
    assert_eq!(complaints(&arrows[1..].join("\n"), &arrows).len(), 1);
    let invented = format!("{}\n| `succeeded` | Retry | `queued` |", arrows.join("\n"));
    assert_eq!(complaints(&invented, &arrows).len(), 1);
}
