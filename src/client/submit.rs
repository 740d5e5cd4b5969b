//! `raincheck submit`: submits a job, and stays with it if asked to.

use raincheck_client::{Job, NewJob};
use raincheck_shared::lifecycle::IdSource;
use serde_json::{Map, Value, json};

use super::arguments::{Afterwards, SubmitArgs};
use super::board::Board;
use super::caller::Caller;
use super::follow::{follow, waited};
use super::input::{Input, read};
use super::refusal::outcome;
use super::result::{Sink, fetch};
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &SubmitArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    // Once for all tries: that is what makes one job of them.
    let key = arguments.idempotency_key.clone().unwrap_or_else(|| IdSource.random().to_string());
    let job = new_job(arguments, caller)?.idempotency_key(&key);
    if arguments.validate_only {
        let (request, _) = job.into_request().map_err(|error| caller.failure(&error))?;
        let answer = caller.ask(&request).await?;
        return terminal.say(if arguments.reach.json {
            answer.json.to_string()
        } else {
            "It would be accepted.".to_owned()
        });
    }
    let submitted = caller.client().submit(job).await.map_err(|error| caller.failure(&error));
    let handle = accepted(submitted, &key)?;
    let job = handle.accepted().map_or(&Value::Null, Job::raw);
    stay(job, &arguments.afterwards, arguments.reach.json, caller, terminal).await
}

/// What came of asking for a new job. Without an answer it may have been accepted all the same, and the key tells.
pub(super) fn accepted<T>(answer: Result<T, Failure>, key: &str) -> Result<T, Failure> {
    answer.map_err(|failure| match failure {
        Failure::Asked { what, exit: Exit::OutOfTime } => {
            let again = format!(
                "{what}\n  it may have been accepted: the same again with `--idempotency-key {key}` makes no second job"
            );
            Failure::asked(Exit::OutOfTime, again)
        }
        other => other,
    })
}

/// What is done with a job that was accepted: its id is told, or it is waited for.
pub(super) async fn stay(
    job: &Value,
    afterwards: &Afterwards,
    json: bool,
    caller: &Caller,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let Some(id) = job["id"].as_str() else { return Err(caller.strange()) };
    let Afterwards { wait, follow: follows, at_most, output } = afterwards;
    if !wait && !follows {
        terminal.say(if json { job.to_string() } else { id.to_owned() })?;
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

fn new_job(arguments: &SubmitArgs, caller: &Caller) -> Result<NewJob, Failure> {
    let kind = arguments.kind.as_str();
    let (job, options) = match read(arguments)? {
        Input::Json(input) => {
            (NewJob::json(kind, &input).map_err(|error| caller.failure(&error))?, options(arguments)?)
        }
        Input::Bytes { content_type, bytes } => {
            if !arguments.metadata.is_empty() {
                let why = "--metadata goes with an input that is JSON; other inputs can carry tags";
                return Err(Failure::Usage(why.to_owned()));
            }
            (NewJob::bytes(kind, content_type, bytes), parameters(arguments))
        }
    };
    Ok(options.into_iter().fold(job, |job, (name, value)| job.option(name, value)))
}

/// Options that have one name, whichever way the input goes.
fn plain_options(arguments: &SubmitArgs) -> Map<String, Value> {
    let pairs = [
        ("queue", arguments.queue.as_ref().map(|text| json!(text))),
        ("priority", arguments.priority.map(|n| json!(n))),
        ("delay", arguments.delay.as_ref().map(|text| json!(text))),
        ("run_at", arguments.run_at.as_ref().map(|text| json!(text))),
        ("deadline", arguments.deadline.as_ref().map(|text| json!(text))),
        ("max_attempts", arguments.max_attempts.map(|n| json!(n))),
        ("concurrency_key", arguments.concurrency_key.as_ref().map(|key| json!(key))),
        ("validate_only", arguments.validate_only.then_some(Value::Bool(true))),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The fields beside an input of JSON.
fn options(arguments: &SubmitArgs) -> Result<Map<String, Value>, Failure> {
    let mut options = plain_options(arguments);
    let mut set = |name: &str, value: Option<Value>| {
        options.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("retention", arguments.retention.as_ref().map(|text| json!({ "result": text })));
    let timeouts: Map<String, Value> = [("run", &arguments.timeout), ("start", &arguments.start_timeout)]
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))))
        .collect();
    set("timeouts", (!timeouts.is_empty()).then_some(Value::Object(timeouts)));
    let metadata = metadata(arguments)?;
    set("metadata", (!metadata.is_empty()).then_some(Value::Object(metadata)));
    set("tags", (!arguments.tags.is_empty()).then(|| json!(arguments.tags)));
    Ok(options)
}

/// Each name once, as in the API: which of two values was meant is not for this side to guess.
fn metadata(arguments: &SubmitArgs) -> Result<Map<String, Value>, Failure> {
    let mut metadata = Map::new();
    for (name, value) in &arguments.metadata {
        if metadata.insert(name.clone(), json!(value)).is_some() {
            return Err(Failure::Usage(format!("--metadata {name} is given twice")));
        }
    }
    Ok(metadata)
}

/// The same, as the query of a body that is the input.
fn parameters(arguments: &SubmitArgs) -> Map<String, Value> {
    let mut parameters = plain_options(arguments);
    for (name, value) in [
        ("run_timeout", &arguments.timeout),
        ("start_timeout", &arguments.start_timeout),
        ("result_retention", &arguments.retention),
    ] {
        parameters.extend(value.as_ref().map(|text| (name.to_owned(), json!(text))));
    }
    if !arguments.tags.is_empty() {
        parameters.insert("tag".to_owned(), json!(arguments.tags));
    }
    parameters
}
