//! Breaks raincheck's surroundings while it works, and checks what became of it. `docs/chaos.md` is its page:
//!
//! ```text
//! cargo build && cargo run -p raincheck-proof --bin chaos -- [--seed N] [--seconds N] [--rounds N] [--faults NAME,…]
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::process::ExitCode;
use std::sync::Arc;

use raincheck_proof::chaos::options::{Options, help};
use raincheck_proof::chaos::round::{Trial, round};
use raincheck_proof::chaos::{report, worker};
use raincheck_proof::stage::cluster::PrivateBackends;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chaos: {error}");
            return ExitCode::FAILURE;
        }
    };
    // What this program starts itself as.
    if let [role, name] = arguments.as_slice()
        && role == "worker"
    {
        return match runtime.block_on(worker::run(name)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("chaos worker: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{}", help());
        return ExitCode::SUCCESS;
    }
    match Options::read(arguments.into_iter()) {
        Ok(options) => runtime.block_on(run(&options)),
        Err(slip) => {
            eprintln!("chaos: {slip}\n\n{}", help());
            ExitCode::from(2)
        }
    }
}

async fn run(options: &Options) -> ExitCode {
    let servers = Arc::new(PrivateBackends::start());
    let mut violations = 0;
    let mut lines = Vec::new();
    for n in 0..options.rounds {
        let seed = options.seed + n;
        eprintln!("seed {seed}: {} s of faults", options.time.as_secs());
        let trial = Trial { seed, time: options.time, kinds: options.kinds.clone(), environment: Vec::new() };
        let verdict = round(&servers, &trial).await;
        let line = report::line(&verdict, options.time.as_secs());
        eprintln!("{line}");
        lines.push(line);
        if !verdict.violations.is_empty() {
            println!("{}", report::violations(&verdict));
            if let Some(folder) = &verdict.folder {
                println!("seed {seed}: logs and journals are in {}", folder.display());
            }
            println!("seed {seed}: to repeat it: {}", again(options, seed));
        }
        violations += verdict.violations.len();
    }
    println!("{}\n{}", report::HEADING, lines.join("\n"));
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The command that draws the same faults and the same load again. What they meet differs in its timing.
fn again(options: &Options, seed: u64) -> String {
    let mut names: Vec<&str> = options.kinds.iter().map(|kind| kind.name).collect();
    if names.is_empty() {
        names.push("none");
    }
    format!("scripts/chaos --seed {seed} --seconds {} --faults {}", options.time.as_secs(), names.join(","))
}
