//! What a supervisor does: starts the program, sees to its limits, and ends all that is below it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus};
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval, sleep, sleep_until};

use super::descendants::{kill_all, use_more_than};
use super::{Ended, KILL, Orders, Report, TERMINATE, open_files};

/// How long what the program left running may go on after its exit.
const LINGER: Duration = Duration::from_secs(1);
/// Between two looks at the memory in use, at least.
const MEMORY_LOOK: Duration = Duration::from_millis(100);
/// Between two rounds of killing, and how many there are: what cannot be killed in that time is stuck in the kernel.
const ROUND: Duration = Duration::from_millis(5);
const ROUNDS: usize = 1_000;

/// Runs the program and stays until nothing of it is left.
pub(super) fn watch(orders: &Orders) -> ExitCode {
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(attend(orders)));
    let reported = ended.or_else(|error| {
        // Whatever may be missing is missing before there is a program.
        let ended = error.raw_os_error().map(Ended::NotStarted).ok_or(error)?;
        Ok(Report { ended, was_told_to_stop: false })
    });
    let written = reported.and_then(|report: Report| report.write(&orders.report));
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn attend(orders: &Orders) -> io::Result<Report> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Nothing may happen between the start of the program and the first look at these.
    let mut children = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::from_raw(TERMINATE.as_raw()))?;
    let mut kill = signal(SignalKind::from_raw(KILL.as_raw()))?;
    let mut stop = Stop::heard()?;
    // Nobody reads the worker's end any more: the attempt was given up, or the worker is gone.
    let worker = pipe::Sender::from_owned_fd_unchecked(io::stderr().as_fd().try_clone_to_owned()?)?;

    let program = start(orders)?;
    let mut was_told_to_stop = false;
    let mut look = interval(MEMORY_LOOK);
    let mut over = None;
    let mut lingers_until = None;
    let ended = loop {
        tokio::select! {
            // First who told it to stop, then what came of that: both may be heard of at once.
            biased;
            () = stop.recv() => was_told_to_stop |= over.is_none(),
            _ = children.recv() => {
                let all_gone = reap(program, &mut over);
                if let Some(ended) = over {
                    if all_gone {
                        return Ok(Report { ended, was_told_to_stop });
                    }
                    lingers_until.get_or_insert(Instant::now() + LINGER);
                }
            }
            () = until(lingers_until) => break over,
            _ = terminate.recv() => {
                if over.is_none() {
                    let _ = rustix::process::kill_process_group(program, Signal::TERM);
                }
            }
            _ = kill.recv() => break over,
            _ = worker.ready(Interest::ERROR) => break over,
            _ = look.tick(), if orders.memory.is_some() => {
                let began = Instant::now();
                if orders.memory.is_some_and(use_more_than) {
                    break Some(Ended::TookTooMuchMemory);
                }
                // However much there is to look at, most of the processor's time is for the program.
                look.reset_after((10 * began.elapsed()).max(MEMORY_LOOK));
            }
        }
    };
    end_all(program, &mut over).await;
    let ended = ended.or(over).unwrap_or(Ended::Killed(Signal::KILL.as_raw()));
    Ok(Report { ended, was_told_to_stop })
}

/// Signals that ask a process to stop, from whoever.
struct Stop([tokio::signal::unix::Signal; 4]);

impl Stop {
    fn heard() -> io::Result<Self> {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        let [terminate, interrupt, hangup, quit] = kinds.map(signal);
        Ok(Self([terminate?, interrupt?, hangup?, quit?]))
    }

    async fn recv(&mut self) {
        let [terminate, interrupt, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// Starts the program, in a process group of its own, and lets go of the pipes that are the program's alone.
fn start(orders: &Orders) -> io::Result<Pid> {
    if let Some(memory) = orders.memory {
        // Each process for itself, as the last line: between two looks none can get past it.
        let limit = Rlimit { current: Some(memory), maximum: Some(memory) };
        rustix::process::setrlimit(Resource::Data, limit)?;
    }
    if let Some(open_files) = orders.open_files {
        open_files::limit(open_files)?;
    }
    let (program, arguments) = orders.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // First, since nobody would see to the program if this failed after its start.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let child = Command::new(program).args(arguments).process_group(0).spawn()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(Pid::from_child(&child))
}

/// Takes note of everyone who has exited. True: nobody is left.
fn reap(program: Pid, over: &mut Option<Ended>) -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => *over = over.or_else(|| ended(status)),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

fn ended(status: WaitStatus) -> Option<Ended> {
    let exited = status.exit_status().map(Ended::Exited);
    exited.or_else(|| status.terminating_signal().map(Ended::Killed))
}

async fn end_all(program: Pid, over: &mut Option<Ended>) {
    for _ in 0..ROUNDS {
        kill_all();
        if reap(program, over) {
            return;
        }
        sleep(ROUND).await;
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
