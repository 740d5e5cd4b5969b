//! One file for each command that runs or looks after a server; those that talk to one are in `client`.

mod api;
mod completions;
mod config;
mod demo;
mod doctor;
mod health;
mod keys;
mod migrate;
mod openapi;
mod up;
mod webhooks;
mod worker;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::config::{Settings, load};

use crate::cli::{Cli, Command};
use crate::client;
use crate::failure::Failure;
use crate::logging;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(cli: &Cli, terminal: &Terminal) -> Result<(), Failure> {
    if cli.misses_its_settings() {
        let why = "--config, --set and --log are for the commands that run or look after a server";
        return Err(Failure::Usage(why.to_owned()));
    }
    match &cli.command {
        None | Some(Command::Up(_)) => serve(cli, terminal, |settings| up::run(settings, terminal)),
        Some(Command::Api(_)) => serve(cli, terminal, |settings| api::run(settings, terminal)),
        Some(Command::Worker(_)) => serve(cli, terminal, worker::run),
        Some(Command::Migrate(_)) => serve(cli, terminal, |settings| migrate::run(settings, terminal)),
        Some(Command::Config(arguments)) => config::run(arguments, || settings(cli), terminal),
        Some(Command::Doctor(arguments)) => {
            let settings = settings(cli);
            if let Ok(settings) = &settings {
                log_if_asked(cli, settings, terminal)?;
            }
            block_on(doctor::run(settings, arguments.json, terminal))
        }
        Some(Command::Demo(arguments)) => {
            let settings = settings(cli)?;
            log_if_asked(cli, &settings, terminal)?;
            block_on(demo::run(arguments, settings, terminal))
        }
        Some(Command::Webhooks(arguments)) => webhooks::run(arguments.key, terminal),
        Some(Command::Health(arguments)) => {
            let settings = settings(cli)?;
            block_on(health::run(arguments, &settings, terminal))
        }
        Some(Command::Keys(command)) => {
            let settings = settings(cli)?;
            log_if_asked(cli, &settings, terminal)?;
            block_on(keys::run(command, settings, terminal))
        }
        Some(Command::Client(command)) => block_on(client::run(command, terminal)),
        Some(Command::Openapi(_)) => openapi::run(&settings(cli)?, terminal),
        Some(Command::Completions { shell }) => completions::completions(*shell, terminal),
        Some(Command::Man) => completions::man(terminal),
    }
}

/// What runs until it is told to stop, and logs.
fn serve<F>(cli: &Cli, terminal: &Terminal, run: impl FnOnce(Arc<Settings>) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let settings = settings(cli)?;
    logging::start(&settings.log, terminal)?;
    block_on(run(Arc::new(settings)))
}

fn settings(cli: &Cli) -> Result<Settings, Failure> {
    load(&cli.flags(), &environment()).map_err(Failure::Config)
}

/// What answers on stdout logs only when `--log` says so.
fn log_if_asked(cli: &Cli, settings: &Settings, terminal: &Terminal) -> Result<(), Failure> {
    if cli.asks_for_logs() { logging::start(&settings.log, terminal) } else { Ok(()) }
}

/// Variables that are no text are nobody's setting.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // What runs here mostly waits. Half the machine is plenty, and the fewer threads there are the less often a job is
    // handed from a busy one to one that has to be woken. TOKIO_WORKER_THREADS says otherwise.
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = std::env::var_os("TOKIO_WORKER_THREADS").is_none().then_some((cpus / 2).max(1));
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::because("the async runtime could not be started", error))?;
    let done = runtime.block_on(work);
    // A blocking call that hangs (a name lookup, a slow disk) must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}
