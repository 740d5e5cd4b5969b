//! `raincheck list`: jobs, newest first, page by page.

use std::fmt::Write;

use raincheck_client::{Request, encode};
use serde_json::Value;

use super::arguments::ListArgs;
use super::board::note;
use super::caller::Caller;
use super::table::{age, cell, table};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Jobs of a page, unless the server is asked for fewer.
const PAGE: usize = 50;

pub(super) async fn run(arguments: &ListArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let filter = filter(arguments);
    let mut left = if arguments.all { usize::MAX } else { arguments.limit };
    let mut cursor = arguments.cursor.clone();
    let mut headed = false;
    while left > 0 {
        let after = cursor.as_ref().map(|cursor| format!("&cursor={}", encode(cursor))).unwrap_or_default();
        // A server may allow fewer than its usual page, so it is asked for that without saying how many.
        let limit = if left < PAGE { format!("&limit={left}") } else { String::new() };
        let query = format!("{filter}{after}{limit}");
        let answer = caller.ask(&Request::get(format!("/v1/jobs?{}", query.trim_start_matches('&')))).await?;
        let jobs = answer.json["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let jobs = &jobs[..jobs.len().min(left)];
        if arguments.reach.json {
            jobs.iter().try_for_each(|job| terminal.say(job))?;
        } else if !jobs.is_empty() {
            rows(jobs, !headed, caller, terminal).iter().try_for_each(|row| terminal.say(row))?;
            headed = true;
        }
        left = left.saturating_sub(jobs.len());
        cursor = answer.json["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    match cursor {
        Some(cursor) => terminal.hint(format_args!("There may be more: --cursor {cursor}, or --all.")),
        None if !headed && !arguments.reach.json => terminal.hint("There are no such jobs."),
        None => {}
    }
    Ok(())
}

/// A page of jobs as lines, below their heads if it is the first.
pub(super) fn rows(jobs: &[Value], headed: bool, caller: &Caller, terminal: &Terminal) -> Vec<String> {
    let now = caller.clock().now();
    let head = headed.then(|| ["ID", "STATUS", "AGE", "KIND", "QUEUE", ""].map(str::to_owned).to_vec());
    let heads = usize::from(headed);
    let row = |job: &Value| {
        let percent = job["progress"]["percent"].as_f64().filter(|_| job["done"] == false);
        let percent = percent.map(|percent| format!("{percent:.0} % ")).unwrap_or_default();
        let said = format!("{percent}{}", note(job).unwrap_or_default());
        let said: String = said.chars().take(60).collect();
        vec![
            cell(&job["id"]),
            // Wide enough for each, so that pages stand below each other.
            format!("{:11}", cell(&job["status"])),
            format!("{:>7}", age(&job["created_at"], now)),
            cell(&job["kind"]),
            cell(&job["queue"]),
            said,
        ]
    };
    let rows: Vec<Vec<String>> = head.into_iter().chain(jobs.iter().map(row)).collect();
    table(&rows, |row, column, text| match (row < heads, column) {
        (true, _) => terminal.dim(text),
        (false, 1) => terminal.status(text.trim_end(), text.chars().count()),
        _ => text,
    })
    .into_iter()
    .map(|line| line.trim_end().to_owned())
    .collect()
}

fn filter(arguments: &ListArgs) -> String {
    let mut query = String::new();
    let mut set = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = write!(query, "&{name}={}", encode(value));
    };
    arguments.status.iter().for_each(|status| set("status", status));
    arguments.tags.iter().for_each(|tag| set("tag", tag));
    arguments.metadata.iter().for_each(|(name, value)| set(&format!("metadata.{}", encode(name)), value));
    let named = [
        ("kind", &arguments.kind),
        ("queue", &arguments.queue),
        ("idempotency_key", &arguments.idempotency_key),
        ("error_code", &arguments.error_code),
        ("since", &arguments.since),
        ("until", &arguments.until),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            set(name, value);
        }
    }
    query
}
