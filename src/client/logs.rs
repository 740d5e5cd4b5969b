//! `raincheck logs`: what a job's handler wrote, as far as it is there or as it comes.

use std::time::Duration;

use raincheck_client::Request;
use serde_json::Value;

use super::arguments::LogsArgs;
use super::caller::Caller;
use super::follow::interruptible;
use super::table::{cell, plain};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Lines of a page: the most that a server gives.
const PAGE: usize = 1000;
/// Workers record lines once a second, so there is no use in asking more often.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(arguments: &LogsArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let id = &arguments.id;
    let work = async {
        let mut after = arguments.after.unwrap_or(0);
        loop {
            let path = format!("/v1/jobs/{id}/logs?after={after}&limit={PAGE}");
            let page = caller.ask(&Request::get(path)).await?.json;
            let (Some(lines), Some(last)) = (page["lines"].as_array(), page["last"].as_u64()) else {
                return Err(caller.strange());
            };
            lines.iter().try_for_each(|line| terminal.say(shown(line, arguments, terminal)))?;
            after = last;
            if page["complete"] == true || !arguments.follow && lines.len() < PAGE {
                return Ok(());
            }
            if lines.len() < PAGE {
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    interruptible(work, || format!("stopped following; job {id} is not touched by that")).await
}

fn shown(line: &Value, arguments: &LogsArgs, terminal: &Terminal) -> String {
    if arguments.reach.json {
        return line.to_string();
    }
    // Tabs are the handler's own columns; all else that moves a cursor is not shown as such.
    let text = line["line"].as_str().unwrap_or_default();
    let text = text.split('\t').map(plain).collect::<Vec<_>>().join("\t");
    if !arguments.times {
        return text;
    }
    let head = format!("{} #{}", cell(&line["at"]), cell(&line["attempt"]));
    format!("{}  {text}", terminal.dim(head))
}
