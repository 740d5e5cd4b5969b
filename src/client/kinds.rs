//! `raincheck kinds`: what can be asked for.

use raincheck_client::Request;
use serde_json::Value;

use super::arguments::KindsArgs;
use super::caller::Caller;
use super::table::{cell, joined, plain, table};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &KindsArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let path = arguments.kind.as_ref().map_or_else(|| "/v1/kinds".to_owned(), |kind| format!("/v1/kinds/{kind}"));
    let answer = caller.ask(&Request::get(path)).await?;
    if arguments.reach.json {
        return terminal.say(&answer.json);
    }
    match answer.json["kinds"].as_array() {
        Some(kinds) => list(kinds, terminal).iter().try_for_each(|row| terminal.say(row)),
        None => page(&answer.json, terminal),
    }
}

fn list(kinds: &[Value], terminal: &Terminal) -> Vec<String> {
    let head = ["KIND", "QUEUE", "TIMEOUT", "ATTEMPTS", "INPUT"].map(str::to_owned).to_vec();
    let row = |kind: &Value| {
        vec![
            cell(&kind["name"]),
            cell(&kind["queue"]),
            cell(&kind["timeouts"]["run"]),
            cell(&kind["max_attempts"]),
            input(kind),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(kinds.iter().map(row)).collect();
    table(&rows, |row, _, text| if row == 0 { terminal.dim(text) } else { text })
}

fn input(kind: &Value) -> String {
    let types = joined(&kind["content_types"]);
    match (types.is_empty(), kind["input_schema"].is_null()) {
        (true, true) => "anything".to_owned(),
        (true, false) => "JSON of a schema".to_owned(),
        (false, _) => types,
    }
}

fn page(kind: &Value, terminal: &Terminal) -> Result<(), Failure> {
    terminal.say(terminal.bold(cell(&kind["name"])))?;
    if let Some(description) = kind["description"].as_str() {
        terminal.say(format_args!("  {}", plain(description)))?;
    }
    for (name, value) in [
        ("queue", cell(&kind["queue"])),
        ("input", input(kind)),
        ("largest input", format!("{} B", cell(&kind["limits"]["input_bytes"]))),
        ("timeout", cell(&kind["timeouts"]["run"])),
        ("attempts", cell(&kind["max_attempts"])),
        ("kept for", cell(&kind["retention"]["result"])),
    ] {
        terminal.say(format_args!("  {}{value}", terminal.dim(format_args!("{name:15}"))))?;
    }
    if !kind["input_schema"].is_null() {
        // Escapes of JSON leave no control character in it.
        let schema = format!("{:#}", kind["input_schema"]);
        terminal.say(format_args!(
            "  {}\n{}",
            terminal.dim("schema"),
            schema.replace('\n', "\n    ").replacen('{', "    {", 1)
        ))?;
    }
    Ok(())
}
