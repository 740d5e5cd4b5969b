//! `raincheck watch`: follows jobs until all of them have ended.

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::Value;

use super::arguments::WatchArgs;
use super::board::Board;
use super::caller::Caller;
use super::follow::{follow, waited};
use super::refusal::outcome;
use super::status::keep_first;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// Jobs that are listened to at once; others wait for one of these to end.
const AT_ONCE: usize = 64;

pub(super) async fn run(arguments: &WatchArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let mut ids: Vec<String> = Vec::new();
    for id in arguments.ids.iter().map(ToString::to_string) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let board = Board::new(terminal, arguments.reach.json);
    for id in &ids {
        board.announce(id);
    }
    let show = |job: &Value| board.show(job);
    let all = async {
        let work = iter(ids.iter().map(|id| follow(caller, id, &show))).buffered(AT_ONCE);
        let mut ends = Vec::new();
        let mut work = std::pin::pin!(work);
        while let Some(end) = work.next().await {
            match end {
                // There is nobody to show the others to.
                Err(failure @ Failure::Asked { exit: Exit::NobodyReads, .. }) => return Err(failure),
                end => ends.push(end),
            }
        }
        Ok(ends)
    };
    let ends = waited(all, &ids, arguments.at_most).await?;
    drop(board);
    let mut worst = Ok(());
    for failure in ends.into_iter().filter_map(|end| end.and_then(|job| outcome(&job)).err()) {
        worst = keep_first(worst, &failure, terminal);
    }
    worst
}
