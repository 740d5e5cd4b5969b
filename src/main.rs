//! raincheck: take a rain check on any slow request. One binary; its subcommands are the roles.

mod cli;
mod client;
mod commands;
mod failure;
mod instance;
mod logging;
mod schema_gate;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // A worker runs this program again beside each program of a `command`.
    if let Some(code) = raincheck_worker::supervisor::enter() {
        return code;
    }
    raincheck_shared::tls::install();
    let cli = cli::Cli::parse();
    let terminal = terminal::Terminal::detect();
    match commands::run(&cli, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            failure.exit_code()
        }
    }
}
