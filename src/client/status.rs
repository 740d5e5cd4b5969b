//! `raincheck status`: jobs as they stand. That a job has failed is no failure of asking.

use std::fmt::Write;

use raincheck_client::Request;
use serde_json::Value;

use super::arguments::StatusArgs;
use super::board::note;
use super::caller::Caller;
use super::refusal::last_words;
use super::table::{age, cell, joined, plain};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &StatusArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let mut first = Ok(());
    for (number, id) in arguments.ids.iter().enumerate() {
        match caller.ask(&Request::get(format!("/v1/jobs/{id}"))).await {
            Ok(answer) if arguments.reach.json => terminal.say(&answer.json)?,
            Ok(answer) => {
                if number > 0 {
                    terminal.say("")?;
                }
                terminal.say(page(&answer.json, caller, terminal))?;
            }
            // The others are shown all the same; the first trouble is the exit code.
            Err(failure) => first = keep_first(first, &failure, terminal),
        }
    }
    first
}

/// Of several failures the first is the exit code, and each is said when it comes.
pub(super) fn keep_first(first: Result<(), Failure>, failure: &Failure, terminal: &Terminal) -> Result<(), Failure> {
    terminal.failure(failure);
    first.and(Err(match failure {
        Failure::Asked { exit, .. } => Failure::asked(*exit, ""),
        _ => Failure::Said,
    }))
}

/// What there is to know of a job, without what is empty.
fn page(job: &Value, caller: &Caller, terminal: &Terminal) -> String {
    let now = caller.clock().now();
    let status = plain(job["status"].as_str().unwrap_or("?"));
    let mut page = format!("{}  {}", terminal.bold(cell(&job["id"])), terminal.status(&status, 0));
    if let Some(percent) = job["progress"]["percent"].as_f64().filter(|_| job["done"] == false) {
        // Writing to a String cannot fail.
        let _ = write!(page, " {percent:.0} %");
    }
    if let Some(note) = note(job) {
        let _ = write!(page, ": {note}");
    }
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = write!(page, "\n  {}{value}", terminal.dim(format_args!("{name:10}")));
        }
    };
    row("kind", cell(&job["kind"]));
    row("queue", cell(&job["queue"]));
    for (name, field) in
        [("created", "created_at"), ("runs at", "run_at"), ("started", "started_at"), ("finished", "finished_at")]
    {
        let at = &job[field];
        row(name, at.as_str().map(|text| when(text, &age(at, now), field)).unwrap_or_default());
    }
    row("attempt", format!("{} of {}", job["attempt"], job["max_attempts"]));
    row("next try", job["next_attempt_at"].as_str().map(plain).unwrap_or_default());
    row("deadline", job["deadline"].as_str().map(plain).unwrap_or_default());
    row("tags", joined(&job["tags"]));
    let pairs = job["metadata"].as_object().into_iter().flatten();
    row(
        "metadata",
        pairs.map(|(name, value)| format!("{}={}", plain(name), cell(value))).collect::<Vec<_>>().join(" "),
    );
    row("concurrency key", job["concurrency_key"].as_str().map(plain).unwrap_or_default());
    row("retry of", job["retry_of"].as_str().map(plain).unwrap_or_default());
    row("result", result(&job["result"]));
    row("error", job["error"]["code"].as_str().map(plain).unwrap_or_default());
    for line in last_words(&job["error"]) {
        row("", format!("| {line}"));
    }
    page
}

/// An instant, and how long ago it was. One that lies ahead has no age.
fn when(text: &str, age: &str, field: &str) -> String {
    if field == "run_at" { plain(text) } else { format!("{} ({age} ago)", plain(text)) }
}

/// What a job made: itself, if it is short.
fn result(result: &Value) -> String {
    const SHORT: usize = 200;
    if result.is_null() {
        return String::new();
    }
    let kind = format!("{} B of {}", result["size"], cell(&result["content_type"]));
    let shown = result.get("value").map(|value| match value {
        // What a program prints ends its last line, which is no part of what it says.
        Value::String(text) => plain(text.trim_end_matches(['\n', '\r'])),
        other => cell(other),
    });
    match shown.filter(|text| !text.is_empty() && text.chars().count() <= SHORT) {
        Some(value) => format!("{kind}: {value}"),
        None => kind,
    }
}
