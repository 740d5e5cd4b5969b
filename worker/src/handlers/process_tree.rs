//! A program and all that it started, as one thing to be stopped.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;

use crate::supervisor;

/// What a child stands for. Dropping it kills what is left, so that an attempt that is given up leaves nothing behind.
///
/// Numbers of processes are used again once their owners are gone and were waited for: [`ProcessTree::is_gone`] keeps a
/// signal from reaching a stranger.
#[derive(Debug)]
pub(super) enum ProcessTree {
    /// The child is a supervisor: whatever is below it, wherever that moved itself.
    Supervised(Pid),
    /// The child leads a process group. A program that moves itself to another session escapes.
    Group(Pid),
    /// Nothing is left.
    Gone,
}

impl ProcessTree {
    /// What a child stands for that was started with `process_group(0)` and has not been waited for.
    pub(super) fn of(child: &Child, is_supervised: bool) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        match pid {
            Some(pid) if is_supervised => Self::Supervised(pid),
            Some(pid) => Self::Group(pid),
            None => Self::Gone,
        }
    }

    /// Asks all members to stop.
    pub(super) fn terminate(&self) {
        self.signal(supervisor::TERMINATE, Signal::TERM);
    }

    /// Stops all members where they stand.
    pub(super) fn kill(&self) {
        // A supervisor that was killed could not kill what is below it.
        self.signal(supervisor::KILL, Signal::KILL);
    }

    /// The child was waited for. A supervisor leaves nothing behind; of a group, others may be left.
    pub(super) fn child_is_gone(&mut self) {
        if matches!(self, Self::Supervised(_)) {
            *self = Self::Gone;
        }
    }

    fn signal(&self, to_supervisor: Signal, to_group: Signal) {
        let sent = match self {
            Self::Supervised(pid) => kill_process(*pid, to_supervisor),
            Self::Group(leader) => kill_process_group(*leader, to_group),
            Self::Gone => return,
        };
        match sent {
            // Nobody is left: what was wanted.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(tree = ?self, %error, "cannot signal the processes of an attempt"),
        }
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        self.kill();
    }
}
