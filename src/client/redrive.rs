//! `raincheck redrive`: failed jobs once more, page by page.

use clap::Args;
use raincheck_client::Request;
use serde_json::{Map, Value, json};

use super::arguments::Reach;
use super::caller::Caller;
use super::table::cell;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// Jobs of one request.
const PAGE: usize = 100;

/// Which jobs, and whether to do it.
#[derive(Debug, Args)]
pub(crate) struct RedriveArgs {
    /// Of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,

    /// In this queue
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,

    /// That failed with this code, such as `worker-lost`
    #[arg(long, value_name = "CODE")]
    pub(crate) error_code: Option<String>,

    /// Created then or later
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Created before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// With this tag; may be repeated, and means all of them
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// Jobs at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1_000)]
    pub(crate) limit: usize,

    /// Only say which
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

pub(super) async fn run(arguments: &RedriveArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let filter = filter(arguments);
    let (mut left, mut cursor) = (arguments.limit, Value::Null);
    let (mut made, mut refused) = (0, 0);
    while left > 0 {
        let wish = json!({
            "filter": filter, "limit": left.min(PAGE), "dry_run": arguments.dry_run, "cursor": cursor,
        });
        // What was made by a request whose answer was lost is passed over when it is sent again.
        let body = wish.to_string();
        let answer = caller.ask(&Request::post("/v1/jobs/redrive", "application/json", body)).await?;
        let list = |name: &str| answer.json[name].as_array().cloned().unwrap_or_default();
        for job in list("jobs") {
            made += 1;
            if arguments.reach.json {
                terminal.say(&job)?;
            } else if arguments.dry_run {
                terminal.say(cell(&job["id"]))?;
            } else {
                terminal.say(format_args!("{} → {}", cell(&job["id"]), cell(&job["retried_by"])))?;
            }
        }
        for job in list("refused") {
            refused += 1;
            if arguments.reach.json {
                terminal.say(&job)?;
                continue;
            }
            let problem = &job["problem"];
            terminal.note(format_args!(
                "{}: {} ({})",
                cell(&job["id"]),
                cell(&problem["detail"]),
                cell(&problem["code"])
            ));
        }
        left = left.saturating_sub(list("jobs").len() + list("refused").len());
        cursor = answer.json["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let jobs = if made == 1 { "job" } else { "jobs" };
    let verb = match (arguments.dry_run, made) {
        (true, _) => "would be tried once more",
        (false, 1) => "is tried once more",
        (false, _) => "are tried once more",
    };
    let rest = if cursor.is_null() { "" } else { " There may be more: run it again." };
    terminal.hint(format_args!("{made} {jobs} {verb}, {refused} cannot be.{rest}"));
    // Which and why has been said.
    if refused > 0 { Err(Failure::asked(Exit::Refused, "")) } else { Ok(()) }
}

fn filter(arguments: &RedriveArgs) -> Value {
    let named = [
        ("kind", &arguments.kind),
        ("queue", &arguments.queue),
        ("error_code", &arguments.error_code),
        ("since", &arguments.since),
        ("until", &arguments.until),
    ];
    let mut filter: Map<String, Value> =
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))).collect();
    if !arguments.tags.is_empty() {
        filter.insert("tags".to_owned(), json!(arguments.tags));
    }
    Value::Object(filter)
}
