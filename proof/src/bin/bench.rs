//! Measures raincheck on this machine:
//!
//! ```text
//! cargo build --release && cargo run --release -p raincheck-proof --bin bench -- [TRIAL…] [--runs N] [--jobs N]
//!     [--seconds N] [--finished N]
//! ```
//!
//! Trials: flood, latency, reads, keys, scaling, snapshot, footprint, bodies, embedded, backlog; without any, all but the last one,
//! which fills a database of several gigabytes. Prints a table of medians to standard output, each measurement to standard error.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::process::ExitCode;
use std::time::Duration;

use raincheck_proof::bench::figures::Figures;
use raincheck_proof::bench::rig::Rig;
use raincheck_proof::bench::trials::{self, Amount};
use raincheck_proof::bench::{bodies, embedded, footprint};

const TRIALS: [&str; 10] =
    ["flood", "latency", "reads", "keys", "scaling", "snapshot", "footprint", "bodies", "embedded", "backlog"];

fn main() -> ExitCode {
    let mut amount = Amount { jobs: 50_000, time: Duration::from_secs(10), finished: 10_000_000 };
    let mut runs = 3;
    let mut chosen = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse::<u32>().ok()).filter(|number| *number > 0);
        let known = match argument.as_str() {
            "--runs" => number().map(|number| runs = number),
            "--jobs" => number().map(|number| amount.jobs = number as usize),
            "--seconds" => number().map(|number| amount.time = Duration::from_secs(number.into())),
            "--finished" => number().map(|number| amount.finished = number),
            trial => TRIALS.contains(&trial).then(|| chosen.push(trial.to_owned())),
        };
        if known.is_none() {
            eprintln!(
                "bench: {} is not one of [{}] [--runs N] [--jobs N] [--seconds N] [--finished N]",
                std::env::args().skip(1).collect::<Vec<_>>().join(" "),
                TRIALS.join(" ")
            );
            return ExitCode::from(2);
        }
    }
    if chosen.is_empty() {
        chosen.extend(TRIALS[..TRIALS.len() - 1].iter().map(ToString::to_string));
    }
    // One thread for the load: the other belongs to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(&chosen, runs, amount)),
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn run(chosen: &[String], runs: u32, amount: Amount) {
    let mut figures = Figures::default();
    for run in 1..=runs {
        eprintln!("run {run} of {runs}");
        // New servers for each run: nothing is inherited but the machine.
        let mut rig = Rig::start().await;
        for trial in chosen {
            eprintln!("  {trial}");
            match trial.as_str() {
                "flood" => trials::flood(&mut rig, &mut figures, amount).await,
                "keys" => trials::keys(&mut rig, &mut figures, amount).await,
                "latency" => trials::latency(&mut rig, &mut figures, amount).await,
                "reads" => trials::reads(&mut rig, &mut figures, amount).await,
                "scaling" => trials::scaling(&mut rig, &mut figures, amount).await,
                "snapshot" => trials::snapshot(&mut rig, &mut figures, amount).await,
                "footprint" => footprint::footprint(&mut rig, &mut figures).await,
                "bodies" => bodies::bodies(&mut rig, &mut figures).await,
                "embedded" => embedded::embedded(&mut figures, amount).await,
                _ => trials::backlog(&mut rig, &mut figures, amount).await,
            }
        }
    }
    println!("{}", figures.table());
}
