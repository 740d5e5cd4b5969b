//! Breaks raincheck's surroundings while it works, and checks what became of it. `docs/chaos.md` is its page:
//!
//! ```text
//! scripts/chaos [--seed N] [--seconds N] [--rounds N] [--faults NAME,…] [--previous PATH] [--mutation NAME]
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::process::ExitCode;

use raincheck_proof::chaos::faults::available;
use raincheck_proof::chaos::ground::House;
use raincheck_proof::chaos::means::Means;
use raincheck_proof::chaos::options::{Options, help};
use raincheck_proof::chaos::round::{Trial, round};
use raincheck_proof::chaos::{report, worker};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // A worker of the trials runs this program again beside each program of a `command`.
    if let Some(code) = raincheck_worker::supervisor::enter() {
        return code;
    }
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
        Ok(options) => runtime.block_on(async {
            tokio::select! {
                code = run(&options) => code,
                // Dropped where it stands: servers, processes and mounts go with it.
                () = interrupted() => ExitCode::FAILURE,
            }
        }),
        Err(slip) => {
            eprintln!("chaos: {slip}\n\n{}", help());
            ExitCode::from(2)
        }
    }
}

async fn interrupted() {
    let Ok(mut asked) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = asked.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn run(options: &Options) -> ExitCode {
    let means = Means::find(options.previous.clone());
    if options.mutation.is_some() && !means.failpoints {
        eprintln!("chaos: a mutation needs a build with the feature `proof`: scripts/chaos makes one");
        return ExitCode::from(2);
    }
    let (kinds, missing) = available(&options.kinds, &means);
    for (group, needs) in missing {
        eprintln!("chaos: left out: {group}, which takes {needs}");
    }
    let environment: Vec<_> =
        options.mutation.iter().map(|mutation| ("RAINCHECK_MUTATION".to_owned(), mutation.name.to_owned())).collect();
    let house = if options.embedded {
        House::without_servers(means)
    } else {
        House::open(means, if options.cluster { 3 } else { 1 })
    };
    let mut verdicts = Vec::new();
    for seed in (0..options.rounds).map(|n| options.seed + n) {
        eprintln!("seed {seed}: {} s of faults", options.time.as_secs());
        let trial = Trial {
            seed,
            time: options.time,
            clients: options.clients,
            kinds: kinds.clone(),
            environment: environment.clone(),
        };
        let verdict = round(&house, &trial).await;
        eprintln!("{}", report::line(&verdict, options.time.as_secs()));
        let found = options.mutation.is_some_and(|mutation| verdict.violations.iter().any(|v| v.rule == mutation.rule));
        if !verdict.violations.is_empty() && options.mutation.is_none() {
            println!("{}", report::violations(&verdict));
            if let Some(folder) = &verdict.folder {
                println!("seed {seed}: logs and journals are in {}", folder.display());
            }
            println!("seed {seed}: to repeat it: {}", options.again(seed));
        }
        if let (Some(folder), true) = (&verdict.folder, options.mutation.is_some()) {
            // What was broken on purpose needs no looking into.
            let _ = std::fs::remove_dir_all(folder);
        }
        verdicts.push(verdict);
        if found {
            break;
        }
    }
    println!("{}", report::HEADING);
    for verdict in &verdicts {
        println!("{}", report::line(verdict, options.time.as_secs()));
    }
    let fine = match options.mutation {
        Some(mutation) => report::finding(mutation, &verdicts),
        None => verdicts.iter().all(|verdict| verdict.violations.is_empty()),
    };
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
