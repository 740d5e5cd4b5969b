//! A program and all that it started, as one thing to be stopped.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The process group that a child leads. Dropping it kills what is left of the group, so that an attempt that is
/// given up leaves nothing behind. A program that moves itself to another session escapes.
///
/// The group's number is that of its leader, and stays taken while any member lives. Once all are gone, the number is
/// free again, and a signal to it would reach whoever got it since: so drop this soon after the child was reaped.
#[derive(Debug)]
pub(super) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The group of a child that was started with `process_group(0)` and has not been waited for.
    pub(super) fn led_by(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Asks all members to stop.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops all members where they stand.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let Some(leader) = self.0 else { return };
        match kill_process_group(leader, signal) {
            // Nobody is left: what was wanted.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(group = leader.as_raw_pid(), %error, "cannot signal a process group"),
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
