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
