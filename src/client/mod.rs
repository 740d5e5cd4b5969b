//! raincheck over HTTP, as its users see it: the connection, and the commands that talk through it. Nothing here knows a
//! store, a broker or the server's settings.

mod arguments;
mod board;
mod caller;
mod cancel;
mod connection;
mod follow;
mod input;
mod kinds;
mod list;
mod logs;
mod place;
mod profiles;
mod queues;
mod redrive;
mod refusal;
mod result;
mod retry;
mod schedule_arguments;
mod schedules;
mod status;
mod submit;
mod table;
mod top;
mod watch;

pub(crate) use arguments::ClientCommand;
pub(crate) use connection::{Standing, base_url, connect, is_ready, standing};
pub(crate) use refusal::failure;

use std::time::Duration;

use crate::failure::Failure;
use crate::terminal::Terminal;
use caller::Caller;

/// Runs a command that talks to an instance.
pub(crate) async fn run(command: &ClientCommand, terminal: &Terminal) -> Result<(), Failure> {
    let patience = match command {
        // It asks again anyway, and shows what was in the way.
        ClientCommand::Top(_) => Duration::ZERO,
        _ => command.reach().patience,
    };
    let caller = Caller::new(&place::find(command.reach())?, patience)?;
    let json = command.reach().json;
    match command {
        ClientCommand::Submit(arguments) => submit::run(arguments, &caller, terminal).await,
        ClientCommand::Status(arguments) => status::run(arguments, &caller, terminal).await,
        ClientCommand::Watch(arguments) => watch::run(arguments, &caller, terminal).await,
        ClientCommand::Logs(arguments) => logs::run(arguments, &caller, terminal).await,
        ClientCommand::Result(arguments) => result::run(arguments, &caller, terminal).await,
        ClientCommand::Cancel(arguments) => cancel::run(arguments, &caller, terminal).await,
        ClientCommand::Retry(arguments) => retry::run(arguments, &caller, terminal).await,
        ClientCommand::Redrive(arguments) => redrive::run(arguments, &caller, terminal).await,
        ClientCommand::List(arguments) => list::run(arguments, &caller, terminal).await,
        ClientCommand::Queues(arguments) => queues::run(arguments.action.as_ref(), json, &caller, terminal).await,
        ClientCommand::Schedules(arguments) => schedules::run(arguments.action.as_ref(), json, &caller, terminal).await,
        ClientCommand::Kinds(arguments) => kinds::run(arguments, &caller, terminal).await,
        ClientCommand::Top(arguments) => top::run(arguments, &caller, terminal).await,
    }
}
