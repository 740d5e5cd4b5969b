//! Runs a program: input on stdin, output on stdout or in a file, stderr into the job's log and for what it has to say to
//! raincheck (`spoken.rs`).
//!
//! Each attempt has a folder of its own, removed with all that is in it when the attempt is over. When the attempt is told
//! to stop, the program's process group gets SIGTERM, and a second later all that it has started gets SIGKILL; so does
//! whatever is left when the program has exited, the attempt is dropped or the worker dies. The supervisor sees to that.

mod pipes;
mod start;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use raincheck_shared::config::{Program, format_size};
use raincheck_shared::domain::Payload;
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use self::pipes::{CHUNK, Stdin, attend};
use self::start::not_started;
use super::process_tree::ProcessTree;
use super::scratch::{AttemptFolder, Scratch};
use super::spoken::Spoken;
use crate::supervisor::{Ended, Report};
use crate::{Context, Handler, HandlerError, LargeInput, Outcome, Output, shortage};

/// From SIGTERM to SIGKILL.
const TERMINATE_GRACE: Duration = Duration::from_secs(1);
/// How long the kernel may take to end what was killed.
const REAP: Duration = Duration::from_millis(500);
/// sysexits.h: the input was bad. Another attempt would have the same.
const EX_DATAERR: i32 = 65;
/// sysexits.h: a failure that passes.
const EX_TEMPFAIL: i32 = 75;

/// Runs a program.
#[derive(Debug, Clone)]
pub struct Command {
    program: Program,
    output_type: String,
    scratch: Arc<Scratch>,
    withheld: &'static [&'static str],
}

/// What a program wrote so far.
struct Said {
    /// Its output, or nothing while that is to come from a file.
    output: Option<Output>,
    stderr: Spoken,
}

impl Command {
    /// Runs `program`, whose output is of the given media type unless it says otherwise. Its attempts have their folders
    /// in `scratch`.
    pub fn new(program: Program, output_type: impl Into<String>, scratch: Arc<Scratch>) -> Self {
        Self { program, output_type: output_type.into(), scratch, withheld: &[] }
    }

    /// Keeps these variables of the worker's from it too, unless the program's own settings have them.
    #[must_use]
    pub fn withholding(mut self, variables: &'static [&'static str]) -> Self {
        self.withheld = variables;
        self
    }

    async fn serve(&self, content_type: &str, input: Stdin, context: &Context) -> Outcome {
        let folder = match self.scratch.folder() {
            Ok(folder) => folder,
            Err(error) if shortage::is_one(&error) => {
                return shortage::put_off("it could not be given a folder", &error, context);
            }
            Err(error) => return HandlerError::new(format!("it could not be given a folder: {error}")).retry(),
        };
        let outcome = self.serve_in(&folder, content_type, input, context).await;
        folder.remove().await;
        outcome
    }

    async fn serve_in(&self, folder: &AttemptFolder, content_type: &str, input: Stdin, context: &Context) -> Outcome {
        let (mut child, is_supervised) = match self.start(folder, content_type, context) {
            Ok(started) => started,
            Err(error) => return self.not_started(&error, context),
        };
        // After `child`, so that it is dropped first when the attempt is dropped: what it has started is killed, then it is
        // reaped.
        let mut tree = ProcessTree::of(&child, is_supervised);
        let output = self.program.output.is_none().then(|| context.output(&self.output_type));
        let mut said = Said { output, stderr: Spoken::new(context.clone()) };

        let ended = {
            let mut attended = std::pin::pin!(attend(&mut child, &tree, input, &mut said, context));
            tokio::select! {
                biased;
                ended = &mut attended => Some(ended),
                () = context.canceled() => {
                    // Its pipes are served on meanwhile: what it says on its way out is kept.
                    tree.terminate();
                    if timeout(TERMINATE_GRACE, &mut attended).await.is_err() {
                        tree.kill();
                        let _ = timeout(REAP, &mut attended).await;
                    }
                    None
                }
            }
        };
        said.stderr.finish();
        if child.id().is_none() {
            tree.child_is_gone();
        }
        // Kills whatever is left of it.
        drop(tree);
        // Answers at once for a child that was waited for; one not gone by then is reaped by the runtime, later.
        let _ = timeout(REAP, child.wait()).await;
        match ended {
            Some(Ok(status)) => {
                let report = if is_supervised { Report::read(&folder.report()) } else { Some(start::ended(status)) };
                if may_be_meant_for_the_worker(report, status) && context.gives_back().await {
                    return Outcome::stopped().with_detail(said.stderr.into_tail());
                }
                self.outcome(report.map(|report| report.ended), status, said, folder, context).await
            }
            Some(Err(outcome)) => outcome.with_detail(said.stderr.into_tail()),
            None => Outcome::stopped().with_detail(said.stderr.into_tail()),
        }
    }

    async fn outcome(
        &self,
        ended: Option<Ended>,
        status: ExitStatus,
        said: Said,
        folder: &AttemptFolder,
        context: &Context,
    ) -> Outcome {
        let code = match ended {
            Some(Ended::Exited(0)) => return self.complete(said, folder, context).await,
            Some(Ended::Exited(code)) => code,
            Some(Ended::Killed(signal)) => 128 + signal,
            Some(Ended::TookTooMuchMemory) => {
                let most = format_size(self.program.memory.unwrap_or_default());
                let message = format!("used more memory than the {most} it may");
                return HandlerError::new(message).with_detail(said.stderr.into_tail()).fail();
            }
            Some(Ended::NotStarted(errno)) => {
                let error = std::io::Error::from_raw_os_error(errno);
                // Its own limit stays as it is, however much there is.
                let limited = self.program.memory.is_some() && error.kind() == std::io::ErrorKind::OutOfMemory;
                return if limited { not_started(&self.program, &error) } else { self.not_started(&error, context) };
            }
            None => {
                let message = format!("lost sight of the program: its supervisor ended with {status}");
                return HandlerError::new(message).with_detail(said.stderr.into_tail()).retry();
            }
        };
        let message = match ended {
            Some(Ended::Killed(signal)) => format!("killed by signal {signal}"),
            _ => format!("exited with code {code}"),
        };
        let after = said.stderr.retry_after();
        let error = HandlerError::new(message).with_detail(said.stderr.into_tail());
        if self.is_worth_another_attempt(code) { Outcome::Retry { error, after } } else { error.fail() }
    }

    fn not_started(&self, error: &std::io::Error, context: &Context) -> Outcome {
        if shortage::is_one(error) {
            return shortage::put_off("its program could not be started", error, context);
        }
        not_started(&self.program, error)
    }

    fn is_worth_another_attempt(&self, code: i32) -> bool {
        let listed = &self.program.retry_exit_codes;
        code == EX_TEMPFAIL || listed.contains(&code) || (listed.is_empty() && code != EX_DATAERR)
    }

    /// Makes the outcome of a program that succeeded.
    async fn complete(&self, said: Said, folder: &AttemptFolder, context: &Context) -> Outcome {
        let content_type = said.stderr.content_type().unwrap_or(&self.output_type).to_owned();
        match (said.output, &self.program.output) {
            (Some(output), _) => output.with_content_type(content_type).finish().await,
            (None, Some(name)) => {
                let output = context.output(content_type);
                match file_into(output, &folder.work().join(name), name).await {
                    Ok(outcome) => outcome,
                    Err(outcome) => outcome.with_detail(said.stderr.into_tail()),
                }
            }
            (None, None) => HandlerError::new("it has no output").fail(),
        }
    }
}

/// Whether a program was ended by a signal that this worker has not sent. It may have been sent to all processes of a service that
/// is being stopped.
fn may_be_meant_for_the_worker(report: Option<Report>, status: ExitStatus) -> bool {
    let asks_to_stop = |signal: i32| [Signal::TERM, Signal::INT].iter().any(|asks| asks.as_raw() == signal);
    let Some(Report { ended, was_told_to_stop }) = report else { return status.signal().is_some_and(asks_to_stop) };
    match ended {
        Ended::Exited(0 | EX_DATAERR) | Ended::TookTooMuchMemory | Ended::NotStarted(_) => false,
        // As shells have it, and programs that end in good order.
        Ended::Exited(code) => was_told_to_stop || asks_to_stop(code - 128),
        Ended::Killed(signal) => was_told_to_stop || asks_to_stop(signal),
    }
}

/// Makes a file the output. A link is not followed: it leads out of the attempt's folder.
async fn file_into(mut output: Output, path: &Path, name: &Path) -> Result<Outcome, Outcome> {
    let unreadable = |error| HandlerError::new(format!("its output {} cannot be read: {error}", name.display())).fail();
    match tokio::fs::symlink_metadata(path).await {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(HandlerError::new(format!("its output {} is not a file", name.display())).fail()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(
                HandlerError::new(format!("succeeded without its output: there is no {}", name.display())).fail()
            );
        }
        Err(error) => return Err(unreadable(error)),
    }
    let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).await.map_err(unreadable)? {
            0 => return Ok(output.finish().await),
            n => output.write(&chunk[..n]).await?,
        }
    }
}

#[async_trait]
impl Handler for Command {
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        self.serve(&input.content_type, Stdin::Bytes(input.bytes), &context).await
    }

    async fn run_large(&self, input: LargeInput, context: Context) -> Outcome {
        match input.pieces().await {
            Ok(pieces) => self.serve(input.content_type(), Stdin::Pieces(pieces), &context).await,
            Err(outcome) => outcome,
        }
    }
}

#[cfg(test)]
mod tests;
