//! `raincheck queues`: how queues stand, and pausing them.

use raincheck_client::Request;
use serde_json::Value;

use super::arguments::QueueAction;
use super::caller::Caller;
use super::table::{cell, seconds, table};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) async fn run(
    action: Option<&QueueAction>,
    json: bool,
    caller: &Caller,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let request = match action {
        None | Some(QueueAction::List { queue: None }) => Request::get("/v1/queues"),
        Some(QueueAction::List { queue: Some(queue) }) => Request::get(format!("/v1/queues/{queue}")),
        Some(QueueAction::Pause { queue }) => {
            Request::post(format!("/v1/queues/{queue}/pause"), "application/json", "")
        }
        Some(QueueAction::Resume { queue }) => {
            Request::post(format!("/v1/queues/{queue}/resume"), "application/json", "")
        }
    };
    let answer = caller.ask(&request).await?;
    if json {
        return terminal.say(&answer.json);
    }
    let queues = answer.json["queues"].as_array().map_or(std::slice::from_ref(&answer.json), Vec::as_slice);
    rows(queues, terminal).iter().try_for_each(|row| terminal.say(row))
}

/// Queues as lines, below their heads.
pub(super) fn rows(queues: &[Value], terminal: &Terminal) -> Vec<String> {
    let head = ["QUEUE", "STATE", "WAITING", "RUNNING", "OLDEST", "ENDS/S", "BACKLOG", "WORKERS", "SLOTS"];
    let number = |value: &Value, width: usize| format!("{:>width$}", cell(value));
    let span = |value: &Value| format!("{:>7}", value.as_f64().map_or_else(|| "-".to_owned(), seconds));
    let row = |queue: &Value| {
        let rate = queue["ends_per_second"].as_f64().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
        vec![
            cell(&queue["name"]),
            if queue["paused"] == true { "paused".to_owned() } else { "open".to_owned() },
            number(&queue["waiting"], 7),
            number(&queue["running"], 7),
            span(&queue["oldest_age_seconds"]),
            format!("{rate:>6}"),
            span(&queue["backlog_seconds"]),
            number(&queue["workers"], 7),
            number(&queue["slots"], 5),
        ]
    };
    let heads = head.iter().map(|text| format!("{text:>0$}", if matches!(*text, "QUEUE" | "STATE") { 0 } else { 5 }));
    let rows: Vec<Vec<String>> = std::iter::once(heads.collect()).chain(queues.iter().map(row)).collect();
    table(&rows, |row, column, text| match (row, column) {
        (0, _) => terminal.dim(text),
        (_, 1) if text.starts_with("paused") => terminal.status("paused", text.chars().count()),
        _ => text,
    })
}
