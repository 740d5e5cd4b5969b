//! Breaks raincheck's surroundings while it works, and checks what became of it. `docs/chaos.md` is its page:
//!
//! ```text
//! scripts/chaos [--seed N] [--seconds N] [--rounds N] [--faults NAME,…] [--previous PATH] [--mutation NAME,…]
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::process::ExitCode;

use raincheck_proof::chaos::faults::{NODES, available};
use raincheck_proof::chaos::house::House;
use raincheck_proof::chaos::means::Means;
use raincheck_proof::chaos::mutations::Mutation;
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
            let options = Options { profile: std::env::var("RAINCHECK_CHAOS_PROFILE").ok(), ..options };
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
    if !options.mutations.is_empty() && !means.failpoints {
        eprintln!("chaos: a mutation needs a build with the feature `proof`: scripts/chaos makes one");
        return ExitCode::from(2);
    }
    // Mutations have faults of their own.
    let asked = if options.mutations.is_empty() || options.named { options.kinds.as_slice() } else { &[] };
    for (group, needs) in available(asked, &means).1 {
        eprintln!("chaos: left out: {group}, which takes {needs}");
    }
    let house = if options.embedded {
        House::without_servers(means.clone())
    } else {
        House::open(means.clone(), if options.cluster { NODES } else { 1 })
    };
    let mut fine = true;
    if options.mutations.is_empty() {
        fine = trials(options, None, &means, &house).await;
    }
    for mutation in &options.mutations {
        fine &= trials(options, Some(*mutation), &means, &house).await;
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One trial for each seed, or until a mutation is found; answers whether all is as it should be.
async fn trials(options: &Options, mutation: Option<Mutation>, means: &Means, house: &House) -> bool {
    let kinds = options.drawn_from(mutation, means);
    // A rule that has to complain; otherwise none may.
    let wanted = mutation.and_then(|mutation| mutation.rule.map(|rule| (mutation.name, rule)));
    let mut verdicts = Vec::new();
    for seed in (0..options.rounds).map(|n| options.seed + n) {
        let again = options.again(seed, &kinds, mutation);
        eprintln!("seed {seed}: {} s of faults; to repeat it: {again}", options.time.as_secs());
        let trial = Trial {
            seed,
            time: options.time,
            clients: options.clients,
            kinds: kinds.clone(),
            lacks: options.lacks.clone(),
            broken: wanted.map(|(name, _)| name),
        };
        let verdict = round(house, &trial).await;
        eprintln!("{}", report::line(&verdict, options.time.as_secs()));
        let found = wanted.is_some_and(|(_, rule)| verdict.violations.iter().any(|violation| violation.rule == rule));
        if !verdict.violations.is_empty() && wanted.is_none() {
            println!("{}", report::violations(&verdict));
            if let Some(folder) = &verdict.folder {
                println!("seed {seed}: logs and journals are in {}", folder.display());
            }
            println!("seed {seed}: to repeat it: {again}");
        }
        if let (Some(folder), true) = (&verdict.folder, wanted.is_some()) {
            // What was broken on purpose needs no looking into.
            let _ = std::fs::remove_dir_all(folder);
        }
        verdicts.push(verdict);
        // What breaks nothing goes along with the others, once.
        if found || (mutation.is_some() && wanted.is_none()) {
            break;
        }
    }
    println!("{}", report::HEADING);
    for verdict in &verdicts {
        println!("{}", report::line(verdict, options.time.as_secs()));
    }
    match wanted {
        Some((name, rule)) => report::finding(name, rule, &verdicts),
        None => verdicts.iter().all(|verdict| verdict.violations.is_empty()),
    }
}
