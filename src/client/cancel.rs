//! `raincheck cancel`.

use raincheck_client::Request;
use serde_json::json;

use super::arguments::CancelArgs;
use super::caller::Caller;
use super::status::keep_first;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &CancelArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let body = arguments.reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason })).to_string();
    let mut first = Ok(());
    for id in &arguments.ids {
        let request = Request::post(format!("/v1/jobs/{id}/cancel"), "application/json", body.clone());
        match caller.ask(&request).await {
            Ok(answer) if arguments.reach.json => terminal.say(&answer.json)?,
            Ok(answer) if answer.status == 202 => terminal.say(format_args!("{id}  was asked to stop"))?,
            Ok(_) => terminal.say(format_args!("{id}  canceled"))?,
            Err(Failure::Asked { what, exit }) if exit != Exit::NobodyReads => {
                let what = if what.contains(&id.to_string()) { what } else { format!("job {id}: {what}") };
                first = keep_first(first, &Failure::asked(exit, what), terminal);
            }
            Err(failure) => return Err(failure),
        }
    }
    first
}
