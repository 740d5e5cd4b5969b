//! Starts a program: its folder, its environment, its limits, and what it means when it cannot be started.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use raincheck_shared::config::Program;
use rustix::process::{Pid, Resource, Rlimit};
use time::format_description::well_known::Rfc3339;
use tokio::process::{self, Child};

use super::super::scratch::AttemptFolder;
use super::Command;
use crate::supervisor::{self, Ended, Orders, Report};
use crate::{Context, HandlerError, Outcome};

impl Command {
    /// Starts it, and says whether the child is a supervisor.
    pub(super) fn start(
        &self,
        folder: &AttemptFolder,
        content_type: &str,
        context: &Context,
    ) -> io::Result<(Child, bool)> {
        let Program { argv, env, directory, memory, .. } = &self.program;
        let (program, arguments) =
            argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
        let program = located(program, directory.as_deref())?;
        let argv = std::iter::once(program.clone()).chain(arguments.iter().map(OsString::from)).collect();
        let open_files = supervisor::open_files_before();
        let orders = Orders { report: folder.report(), memory: *memory, open_files, argv };
        let supervised = supervisor::command_line(&orders);
        let is_supervised = supervised.is_some();

        let mut command = if let Some((executable, arguments)) = supervised {
            let mut command = process::Command::new(executable);
            // For whoever lists processes.
            command.arg0("raincheck").args(arguments);
            command
        } else {
            let mut command = process::Command::new(program);
            // Not for a supervisor: one that was killed could not kill what is below it.
            command.args(arguments).kill_on_drop(true);
            command
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .current_dir(directory.clone().unwrap_or_else(|| folder.work()));
        for (name, _) in std::env::vars_os() {
            if is_the_workers_own(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        for name in self.withheld {
            command.env_remove(name);
        }
        command.env("TMPDIR", folder.temporary()).envs(env).envs(self.own_variables(folder, content_type, context));
        if context.traceparent().is_none() {
            command.env_remove("TRACEPARENT");
        }
        let child = command.spawn()?;
        if !is_supervised && let Some(memory) = memory {
            limit(&child, *memory);
        }
        Ok((child, is_supervised))
    }

    fn own_variables(
        &self,
        folder: &AttemptFolder,
        content_type: &str,
        context: &Context,
    ) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("RAINCHECK_JOB_ID", context.job_id().to_string().into()),
            ("RAINCHECK_TENANT", context.tenant().as_str().into()),
            ("RAINCHECK_KIND", context.kind().as_str().into()),
            ("RAINCHECK_ATTEMPT", context.attempt().to_string().into()),
            ("RAINCHECK_MAX_ATTEMPTS", context.max_attempts().to_string().into()),
            ("RAINCHECK_FENCE", context.fence().to_string().into()),
            ("RAINCHECK_DEADLINE", context.deadline().format(&Rfc3339).unwrap_or_default().into()),
            ("RAINCHECK_CONTENT_TYPE", content_type.into()),
            ("RAINCHECK_FOLDER", folder.work().into()),
        ];
        if let Some(output) = &self.program.output {
            variables.push(("RAINCHECK_OUTPUT", folder.work().join(output).into()));
        }
        if let Some(traceparent) = context.traceparent() {
            variables.push(("TRACEPARENT", traceparent.into()));
        }
        variables
    }
}

/// A program whose name is a path, as one that holds in whatever folder it runs. It starts at `directory`, or at the
/// worker's own.
fn located(program: &str, directory: Option<&Path>) -> io::Result<OsString> {
    if !program.contains('/') {
        return Ok(OsStr::new(program).to_owned());
    }
    let path = directory.map_or_else(|| Path::new(program).to_path_buf(), |directory| directory.join(program));
    Ok(std::path::absolute(path)?.into_os_string())
}

/// What it may use for data, each process of it for itself. It runs already: what it took until now it keeps.
fn limit(child: &Child, memory: u64) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let limit = Rlimit { current: Some(memory), maximum: Some(memory) };
    if let Err(error) = rustix::process::prlimit(pid, Resource::Data, limit) {
        tracing::warn!(%error, "the memory of a program could not be limited");
    }
}

/// Whether a variable configures the worker.
pub(super) fn is_the_workers_own(variable: &str) -> bool {
    variable.starts_with("RAINCHECK__") || matches!(variable, "DATABASE_URL" | "AMQP_URL")
}

/// How a program ended that had no supervisor.
pub(super) fn ended(status: ExitStatus) -> Report {
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Killed(signal),
        (None, None) => Ended::Exited(-1),
    };
    Report { ended, was_told_to_stop: false }
}

/// What an attempt comes to whose program could not be started.
pub(super) fn not_started(program: &Program, error: &io::Error) -> Outcome {
    let name = program.argv.first().map_or("", String::as_str);
    let kind = error.kind();
    if let Some(directory) = program.directory.as_ref().filter(|directory| !directory.is_dir()) {
        return HandlerError::new(format!("its directory {} is not there", directory.display())).fail();
    }
    let message = match kind {
        io::ErrorKind::NotFound => format!("the program {name:?} was not found"),
        io::ErrorKind::PermissionDenied => format!("the program {name:?} may not be executed"),
        _ => format!("the program {name:?} could not be started: {error}"),
    };
    // These may pass. So does what a machine is short of, but that is no failure of the attempt: see `shortage.rs`.
    let passes = matches!(kind, io::ErrorKind::ExecutableFileBusy | io::ErrorKind::Interrupted)
        || kind == io::ErrorKind::OutOfMemory;
    let error = HandlerError::new(message);
    if passes { error.retry() } else { error.fail() }
}
