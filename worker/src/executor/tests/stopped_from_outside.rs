//! Programs that are ended by signals which may have been meant for their worker.

use raincheck_shared::config::Program;
use rustix::process::{Signal, kill_process};
use tokio::signal::unix::SignalKind;

use super::*;
use crate::handlers::trial::{eventually, pid_in};
use crate::handlers::{Command, Scratch};

/// What a shell runs in its own place.
const BECOMES_SLEEP: &str = "exec sleep 1000";

/// How an attempt ends whose program is sent a signal as soon as it runs, and whose worker stops a moment later, or does not.
async fn ended(script: &str, signal: Signal, worker_stops: bool) -> Ended {
    // As a worker's process does. What is caught is no longer ignored in programs, as SIGINT is where a shell ran this with `&`.
    let _caught = tokio::signal::unix::signal(SignalKind::interrupt()).unwrap();
    let folder = Folder::new();
    let file = folder.file("pid");
    let script = script.replace("READY", &format!("echo $$ > {}", file.display()));
    let argv = ["sh", "-c", &script].map(str::to_owned).to_vec();
    let program = Program { argv, ..Program::default() };
    let trial = Trial::of(Command::new(program, "text/plain", Arc::new(Scratch::inside(None))));
    let stopping = async {
        let pid = pid_in(&file).await;
        if script.ends_with(BECOMES_SLEEP) {
            // A shell swallows a SIGINT that comes while it writes.
            let name = format!("/proc/{}/comm", pid.as_raw_pid());
            let is_sleep = || std::fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n").then_some(());
            eventually("the shell has become what it runs", is_sleep).await;
        }
        kill_process(pid, signal).unwrap();
        if worker_stops {
            trial.worker.begin();
        }
    };
    tokio::join!(trial.ended(), stopping).0
}

#[tokio::test]
async fn a_program_that_ends_with_its_worker_costs_no_attempt() {
    let dies = "READY; exec sleep 1000";
    let says_so = "trap 'exit 143' TERM; READY; while :; do sleep 0.05; done";
    for (script, signal) in [(dies, Signal::TERM), (dies, Signal::INT), (says_so, Signal::TERM)] {
        assert_eq!(ended(script, signal, true).await, Ended::Released, "{script}");
        let (failure, _) = to_retry(ended(script, signal, false).await);
        assert!(failure.retryable, "{failure:?}");
    }
}

#[tokio::test]
async fn a_program_that_fails_while_its_worker_stops_has_failed() {
    let fails = "trap 'exit 3' TERM; READY; while :; do sleep 0.05; done";
    for (script, signal, said) in
        [(fails, Signal::TERM, "exited with code 3"), ("READY; exec sleep 1000", Signal::SEGV, "killed by signal 11")]
    {
        assert_eq!(to_retry(ended(script, signal, true).await).0.message, said);
    }
}
