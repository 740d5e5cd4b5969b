//! `raincheck schedules`: what is made by a clock, and what can be done about it.

use raincheck_client::{Request, encode};
use raincheck_shared::lifecycle::IdSource;
use serde_json::{Value, json};

use super::caller::Caller;
use super::schedule_arguments::{PutScheduleArgs, ScheduleAction};
use super::submit::accepted;
use super::table::{cell, plain, table};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) async fn run(
    action: Option<&ScheduleAction>,
    json: bool,
    caller: &Caller,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let post = |name, verb| Request::post(format!("/v1/schedules/{name}/{verb}"), "application/json", "");
    let request = match action {
        None | Some(ScheduleAction::List) => return list(json, caller, terminal).await,
        Some(ScheduleAction::Trigger { name, idempotency_key }) => {
            let key = idempotency_key.clone().unwrap_or_else(|| IdSource.random().to_string());
            let request = post(name, "trigger").header("idempotency-key", format!("\"{key}\""));
            let answer = accepted(caller.ask(&request).await, &key)?;
            return if json { terminal.say(&answer.json) } else { terminal.say(cell(&answer.json["id"])) };
        }
        Some(ScheduleAction::Show { name, runs }) => Request::get(format!("/v1/schedules/{name}?runs={runs}")),
        Some(ScheduleAction::Put(arguments)) => put(arguments)?,
        Some(ScheduleAction::Pause { name }) => post(name, "pause"),
        Some(ScheduleAction::Resume { name }) => post(name, "resume"),
        Some(ScheduleAction::Delete { name }) => Request::delete(format!("/v1/schedules/{name}")),
    };
    let answer = caller.ask(&request).await?;
    match action {
        Some(ScheduleAction::Delete { name }) if json => {
            terminal.say(json!({ "name": name.to_string(), "deleted": true }))
        }
        Some(ScheduleAction::Delete { name }) => terminal.say(format_args!("{name}  deleted")),
        _ if json => terminal.say(&answer.json),
        _ => page(&answer.json, terminal),
    }
}

fn put(arguments: &PutScheduleArgs) -> Result<Request, Failure> {
    let input: Value = match &arguments.data {
        Some(text) => {
            serde_json::from_str(text).map_err(|error| Failure::Usage(format!("--data is not JSON: {error}")))?
        }
        None => Value::Null,
    };
    let body = json!({
        "cron": arguments.cron, "kind": arguments.kind.as_str(), "input": input, "catch_up": arguments.catch_up,
        "queue": arguments.queue, "concurrency_key": arguments.concurrency_key, "tags": arguments.tags, "validate_only": arguments.validate_only,
    });
    let path = format!("/v1/schedules/{}", arguments.name);
    Ok(Request::put(path, "application/json", body.to_string()))
}

/// All of them, page by page.
async fn list(json: bool, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let head = ["NAME", "STATE", "CRON", "KIND", "NEXT", "LAST"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    let mut path = Some("/v1/schedules?limit=100".to_owned());
    while let Some(next) = path.take() {
        let answer = caller.ask(&Request::get(next)).await?;
        for schedule in answer.json["schedules"].as_array().into_iter().flatten() {
            if json {
                terminal.say(schedule)?;
            }
            rows.push(row(schedule));
        }
        let cursor = answer.json["next_cursor"].as_str();
        path = cursor.map(|cursor| format!("/v1/schedules?limit=100&cursor={}", encode(cursor)));
    }
    if json {
        return Ok(());
    }
    let lines = table(&rows, |row, column, text| match (row, column) {
        (0, _) => terminal.dim(text),
        (_, 1) if text.starts_with("paused") => terminal.status("paused", text.chars().count()),
        _ => text,
    });
    lines.iter().try_for_each(|line| terminal.say(line))
}

fn state(schedule: &Value) -> &'static str {
    match (schedule["paused"] == true, schedule["problem"].is_string()) {
        (true, _) => "paused",
        (false, true) => "late",
        (false, false) => "on",
    }
}

fn row(schedule: &Value) -> Vec<String> {
    vec![
        cell(&schedule["name"]),
        state(schedule).to_owned(),
        cell(&schedule["cron"]),
        cell(&schedule["kind"]),
        cell(&schedule["next"][0]["local"]),
        cell(&schedule["last_at"]),
    ]
}

/// One of them, or a preview of one.
fn page(schedule: &Value, terminal: &Terminal) -> Result<(), Failure> {
    terminal.say(terminal.bold(cell(&schedule["name"])))?;
    let state = if schedule["valid"] == true { "would be accepted" } else { state(schedule) };
    for (name, value) in [
        ("state", state.to_owned()),
        ("problem", cell(&schedule["problem"])),
        ("cron", cell(&schedule["cron"])),
        ("kind", cell(&schedule["kind"])),
        ("catch up", cell(&schedule["catch_up"])),
        ("key", cell(&schedule["concurrency_key"])),
        ("from", cell(&schedule["source"])),
        ("last run", cell(&schedule["last_at"])),
        ("last job", cell(&schedule["last_job"])),
        ("missed", cell(&schedule["missed"])),
    ] {
        if value != "-" {
            terminal.say(format_args!("  {}{value}", terminal.dim(format_args!("{name:10}"))))?;
        }
    }
    for run in schedule["next"].as_array().into_iter().flatten() {
        let (at, local) = (cell(&run["at"]), cell(&run["local"]));
        terminal.say(format_args!("  {}{}  {}", terminal.dim("next      "), plain(&at), plain(&local)))?;
    }
    Ok(())
}
