//! A process between the worker and one program of a `command`, so that nothing the program starts outlives its attempt.
//!
//! The worker runs its own executable again; [`enter`] finds that out, and the process becomes a supervisor instead of
//! whatever the executable is otherwise. A supervisor adopts every process below it that loses its parent, so that
//! daemons which moved to sessions of their own are still found. It ends them all when the program has exited, when the
//! worker says so, and when the worker is gone, for instance killed with SIGKILL.
//!
//! What the worker says are signals: at SIGUSR1 the program's process group gets SIGTERM, at SIGUSR2 everything is killed.
//! Whoever stops a service may send SIGTERM to all of its processes, as systemd does unless it is told otherwise. That is not
//! the worker's word: the supervisor does nothing but note it, and the worker decides. What the supervisor says is in a file,
//! see `Report`.
//!
//! An executable that does not call [`enter`] runs programs all the same. Then only the program's process group is ended
//! with it, and nobody does so once the worker was killed.

mod descendants;
mod ended;
mod open_files;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use ended::{Ended, Report};
pub(crate) use open_files::before as open_files_before;
use rustix::process::Signal;

/// Has a supervisor ask the program to stop. Not SIGTERM: that comes from others too.
pub(crate) const TERMINATE: Signal = Signal::USR1;
/// Has it kill all that is below it.
pub(crate) const KILL: Signal = Signal::USR2;

/// The first argument that makes a process a supervisor.
const MARK: &str = "raincheck-supervises-a-command";
/// This executable, also when another one has taken its place on disk.
const THIS_EXECUTABLE: &str = "/proc/self/exe";

/// Whether this executable becomes a supervisor when it is asked to.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The first thing that `main` of a worker's program does. `Some`: this process was started as a supervisor and has done
/// its work; end it with that code. `None`: it was not; go on. Then it may have as many files open as the machine allows;
/// programs of a `command` get the limit that there was before.
///
/// ```
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     if let Some(code) = raincheck_worker::supervisor::enter() {
///         return code;
///     }
///     // … start a worker …
///     ExitCode::SUCCESS
/// }
/// ```
pub fn enter() -> Option<ExitCode> {
    ENTERED.store(true, Ordering::Relaxed);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != MARK) {
        open_files::allow_all();
        return None;
    }
    let Some(orders) = Orders::read(arguments) else { return Some(ExitCode::from(2)) };
    Some(watch::watch(&orders))
}

/// The command line of a supervisor that does as ordered; `None`: this executable cannot be one.
pub(crate) fn command_line(orders: &Orders) -> Option<(&'static str, Vec<OsString>)> {
    // Adopting orphans is a thing of Linux.
    if !cfg!(target_os = "linux") || !ENTERED.load(Ordering::Relaxed) {
        return None;
    }
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string()).into();
    let mut arguments = vec![OsString::from(MARK), orders.report.clone().into()];
    arguments.extend([number(orders.memory), number(orders.open_files)]);
    arguments.extend(orders.argv.iter().cloned());
    Some((THIS_EXECUTABLE, arguments))
}

/// What a supervisor is to do.
#[derive(Debug)]
pub(crate) struct Orders {
    /// Where it writes how the program ended.
    pub(crate) report: PathBuf,
    /// Bytes that the program and all that it starts may use together.
    pub(crate) memory: Option<u64>,
    /// Files that each process of it may have open, unless it allows itself more.
    pub(crate) open_files: Option<u64>,
    /// The program and its arguments.
    pub(crate) argv: Vec<OsString>,
}

impl Orders {
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let report = arguments.next()?.into();
        let memory = arguments.next()?.to_str()?.parse().ok();
        let open_files = arguments.next()?.to_str()?.parse().ok();
        let argv: Vec<OsString> = arguments.collect();
        (!argv.is_empty()).then_some(Self { report, memory, open_files, argv })
    }
}
