//! `raincheck submit`: submits a job, and stays with it if asked to.

use std::fmt::Write;

use raincheck_shared::lifecycle::IdSource;
use serde_json::{Map, Value, json};

use super::arguments::{Afterwards, SubmitArgs};
use super::board::Board;
use super::connection::Answer;
use super::follow::{follow, waited};
use super::input::{Input, read};
use super::patience::{Ask, Caller};
use super::refusal::outcome;
use super::result::{Sink, fetch};
use super::table::encode;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &SubmitArgs, caller: &Caller<'_>, terminal: &Terminal) -> Result<(), Failure> {
    // Once for all tries: that is what makes one job of them.
    let key = arguments.idempotency_key.clone().unwrap_or_else(|| IdSource.random().to_string());
    let quoted = quoted(&key);
    let ask = match read(arguments)? {
        Input::Json(input) => {
            let options = options(arguments).to_string();
            let body = format!("{{\"input\":{},{}", input.get(), options.trim_start_matches('{'));
            Ask::post("/v1/jobs", "application/json", body)
        }
        Input::Bytes { content_type, bytes } => {
            if !arguments.metadata.is_empty() {
                let why = "--metadata goes with an input that is JSON; other inputs can carry tags";
                return Err(Failure::Usage(why.to_owned()));
            }
            let path = format!("/v1/kinds/{}/jobs{}", encode(arguments.kind.as_str()), query(arguments));
            return send(&Ask::post(path, &content_type, bytes), &quoted, &key, arguments, caller, terminal).await;
        }
    };
    send(&ask, &quoted, &key, arguments, caller, terminal).await
}

async fn send(
    ask: &Ask<'_>,
    quoted: &str,
    key: &str,
    arguments: &SubmitArgs,
    caller: &Caller<'_>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let answer = accepted(&ask.clone().header("idempotency-key", quoted), key, caller).await?;
    if arguments.validate_only {
        return terminal.say(if arguments.reach.json {
            answer.json.to_string()
        } else {
            "It would be accepted.".to_owned()
        });
    }
    stay(&answer, &arguments.afterwards, arguments.reach.json, caller, terminal).await
}

/// Asks for a new job. Without an answer it may have been accepted all the same, and the key tells.
pub(super) async fn accepted(ask: &Ask<'_>, key: &str, caller: &Caller<'_>) -> Result<Answer, Failure> {
    match caller.ask(ask).await {
        Err(Failure::Asked { what, exit: Exit::OutOfTime }) => {
            let again = format!(
                "{what}\n  it may have been accepted: the same again with `--idempotency-key {key}` makes no second job"
            );
            Err(Failure::asked(Exit::OutOfTime, again))
        }
        other => other,
    }
}

/// What is done with a job that was accepted: its id is told, or it is waited for.
pub(super) async fn stay(
    answer: &Answer,
    afterwards: &Afterwards,
    json: bool,
    caller: &Caller<'_>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let Some(id) = answer.json["id"].as_str() else {
        return Err(Failure::new(format!("{} does not answer like a raincheck", caller.base())));
    };
    let Afterwards { wait, follow: follows, at_most, output } = afterwards;
    if !wait && !follows {
        terminal.say(if json { answer.json.to_string() } else { id.to_owned() })?;
        if !json {
            terminal.hint(format_args!("Follow it with `raincheck watch {id}`."));
        }
        return Ok(());
    }
    let board = match (follows, wait) {
        (true, true) => Some(Board::beside(terminal)),
        (true, false) => Some(Board::new(terminal, json)),
        (false, _) => None,
    };
    let show = |job: &Value| board.as_ref().map_or(Ok(()), |board| board.show(job));
    let ids = [id.to_owned()];
    let job = waited(follow(caller, id, &show), &ids, *at_most).await?;
    drop(board);
    if *wait && json && output.is_none() {
        terminal.say(&job)?;
        return outcome(&job);
    }
    outcome(&job)?;
    if *wait {
        fetch(id, &Sink::of(output.as_deref()), caller, terminal).await?;
        if json {
            terminal.say(&job)?;
        }
    }
    Ok(())
}

/// A key as its header holds it. One that has quotes of its own is for the server to refuse.
pub(super) fn quoted(key: &str) -> String {
    format!("\"{key}\"")
}

fn options(arguments: &SubmitArgs) -> Value {
    let mut options = Map::new();
    options.insert("kind".to_owned(), json!(arguments.kind.as_str()));
    let mut set = |name: &str, value: Option<Value>| {
        options.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("queue", arguments.queue.as_ref().map(|text| json!(text)));
    set("priority", arguments.priority.map(|n| json!(n)));
    set("delay", arguments.delay.as_ref().map(|text| json!(text)));
    set("run_at", arguments.run_at.as_ref().map(|text| json!(text)));
    set("deadline", arguments.deadline.as_ref().map(|text| json!(text)));
    set("max_attempts", arguments.max_attempts.map(|n| json!(n)));
    set("concurrency_key", arguments.concurrency_key.as_ref().map(|key| json!(key)));
    set("retention", arguments.retention.as_ref().map(|text| json!({ "result": text })));
    let timeouts: Map<String, Value> = [("run", &arguments.timeout), ("start", &arguments.start_timeout)]
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))))
        .collect();
    set("timeouts", (!timeouts.is_empty()).then_some(Value::Object(timeouts)));
    let metadata: Map<String, Value> =
        arguments.metadata.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    set("metadata", (!metadata.is_empty()).then_some(Value::Object(metadata)));
    set("tags", (!arguments.tags.is_empty()).then(|| json!(arguments.tags)));
    set("validate_only", arguments.validate_only.then_some(Value::Bool(true)));
    Value::Object(options)
}

/// The same options, as the query of a body that is the input.
fn query(arguments: &SubmitArgs) -> String {
    let mut query = String::new();
    let mut set = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let sign = if query.is_empty() { '?' } else { '&' };
            // Writing to a String cannot fail.
            let _ = write!(query, "{sign}{name}={}", encode(value));
        }
    };
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    set("queue", arguments.queue.as_deref());
    set("priority", number(arguments.priority).as_deref());
    set("delay", arguments.delay.as_deref());
    set("run_at", arguments.run_at.as_deref());
    set("deadline", arguments.deadline.as_deref());
    set("run_timeout", arguments.timeout.as_deref());
    set("start_timeout", arguments.start_timeout.as_deref());
    set("result_retention", arguments.retention.as_deref());
    set("max_attempts", number(arguments.max_attempts).as_deref());
    set("concurrency_key", arguments.concurrency_key.as_deref());
    arguments.tags.iter().for_each(|tag| set("tags", Some(tag)));
    set("validate_only", arguments.validate_only.then_some("true"));
    query
}
