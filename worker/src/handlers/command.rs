//! Runs a program: input on stdin, output on stdout, stderr into the job's log, and its end kept when it fails.
//!
//! The program leads a process group of its own. When the attempt is told to stop, the group gets SIGTERM, a second
//! later SIGKILL; when the attempt is dropped, SIGKILL at once. When the program exits, whatever it left running in its
//! group is killed too, so that no attempt leaves processes behind.
//!
//! A worker that is itself killed with SIGKILL cannot do that. The program then reads the end of its stdin and gets
//! SIGPIPE on its next write to stdout or stderr; one that does neither runs on until it is done.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use raincheck_shared::domain::Payload;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{self, Child, ChildStdin};
use tokio::time::{sleep, timeout};

use super::bounded::Tail;
use super::log_lines::LogLines;
use super::process_group::ProcessGroup;
use crate::{Context, Handler, HandlerError, LargeInput, Outcome, Output};

/// From SIGTERM to SIGKILL.
const TERMINATE_GRACE: Duration = Duration::from_secs(1);
/// How long pipes may stay open after the program's exit, held by what it started.
const LINGER: Duration = Duration::from_secs(1);
/// How long the kernel may take to end what was killed.
const REAP: Duration = Duration::from_millis(500);
/// Bytes read from a pipe at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Runs a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Added to the worker's environment. The worker's own settings (`RAINCHECK__…`, `DATABASE_URL`, `AMQP_URL`) are
    /// not passed on: they may hold passwords.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub directory: Option<PathBuf>,
    /// Exit codes that are worth another attempt; empty: every non-zero one. A program killed by signal `n` counts as
    /// exit code `128 + n`, as in a shell.
    pub retry_exit_codes: Vec<i32>,
    /// The media type of what it writes.
    pub output_type: String,
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

/// What a program reads.
enum Stdin {
    /// All of it.
    Bytes(Bytes),
    /// As fast as it reads.
    Pieces(BoxStream<'static, Result<Bytes, Outcome>>),
}

/// What a program wrote so far.
struct Said {
    output: Output,
    stderr: Tail,
    /// What it wrote to stderr, for the log.
    lines: LogLines,
}

impl Command {
    async fn serve(&self, content_type: &str, input: Stdin, context: &Context) -> Outcome {
        let mut child = match self.start(content_type, context) {
            Ok(child) => child,
            Err(error) => return self.not_started(&error),
        };
        // After `child`, so that it is dropped first when the attempt is dropped: the group is killed, then reaped.
        let group = ProcessGroup::led_by(&child);
        let mut said = Said {
            output: context.output(&self.output_type),
            stderr: Tail::default(),
            lines: LogLines::new(context.clone()),
        };

        let ended = {
            let mut attended = std::pin::pin!(attend(&mut child, &group, input, &mut said));
            tokio::select! {
                biased;
                ended = &mut attended => Some(ended),
                () = context.canceled() => {
                    // Its pipes are served on meanwhile: what it says on its way out is kept.
                    group.terminate();
                    if timeout(TERMINATE_GRACE, &mut attended).await.is_err() {
                        group.kill();
                        let _ = timeout(REAP, &mut attended).await;
                    }
                    None
                }
            }
        };
        said.lines.finish();
        // Kills whatever is left of it.
        drop(group);
        // Answers at once for a child that was waited for; one not gone by then is reaped by the runtime, later.
        let _ = timeout(REAP, child.wait()).await;
        self.outcome(ended, said).await
    }

    fn start(&self, content_type: &str, context: &Context) -> io::Result<Child> {
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
        let mut command = process::Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if is_the_workers_own(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        command
            .envs(&self.env)
            .env("RAINCHECK_JOB_ID", context.job_id().to_string())
            .env("RAINCHECK_TENANT", context.tenant().as_str())
            .env("RAINCHECK_KIND", context.kind().as_str())
            .env("RAINCHECK_ATTEMPT", context.attempt().to_string())
            .env("RAINCHECK_CONTENT_TYPE", content_type);
        match context.traceparent() {
            Some(traceparent) => command.env("TRACEPARENT", traceparent),
            None => command.env_remove("TRACEPARENT"),
        };
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.spawn()
    }

    fn not_started(&self, error: &io::Error) -> Outcome {
        let program = self.argv.first().map_or("", String::as_str);
        let kind = error.kind();
        if let Some(directory) = self.directory.as_ref().filter(|d| !d.is_dir()) {
            return HandlerError::new(format!("its directory {} is not there", directory.display())).fail();
        }
        let message = match kind {
            io::ErrorKind::NotFound => format!("the program {program:?} was not found"),
            io::ErrorKind::PermissionDenied => format!("the program {program:?} may not be executed"),
            _ => format!("the program {program:?} could not be started: {error}"),
        };
        // Processes, memory or file handles that are short now come back; a program does not.
        let short = matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory)
            || matches!(kind, io::ErrorKind::ExecutableFileBusy | io::ErrorKind::Interrupted)
            || matches!(error.raw_os_error().map(rustix::io::Errno::from_raw_os_error), Some(e) if is_shortage(e));
        let error = HandlerError::new(message);
        if short { error.retry() } else { error.fail() }
    }

    async fn outcome(&self, ended: Option<Result<ExitStatus, Outcome>>, said: Said) -> Outcome {
        let stderr = said.stderr.into_bytes();
        match ended {
            Some(Ok(status)) if status.success() => said.output.finish().await,
            Some(Ok(status)) => {
                let (code, message) = match (status.code(), status.signal()) {
                    (Some(code), _) => (code, format!("exited with code {code}")),
                    (None, Some(signal)) => (128 + signal, format!("killed by signal {signal}")),
                    (None, None) => (-1, status.to_string()),
                };
                let error = HandlerError::new(message).with_detail(stderr);
                let again = self.retry_exit_codes.is_empty() || self.retry_exit_codes.contains(&code);
                if again { error.retry() } else { error.fail() }
            }
            Some(Err(outcome)) => outcome.with_detail(stderr),
            None => Outcome::stopped().with_detail(stderr),
        }
    }
}

/// Whether a variable configures the worker.
fn is_the_workers_own(variable: &str) -> bool {
    variable.starts_with("RAINCHECK__") || matches!(variable, "DATABASE_URL" | "AMQP_URL")
}

fn is_shortage(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN].contains(&error)
}

/// Serves a program's three pipes at once, so that none of them can block another, until it has exited and they are
/// closed. What it left running in its group does not hold up its end for longer than [`LINGER`].
async fn attend(child: &mut Child, group: &ProcessGroup, input: Stdin, said: &mut Said) -> Result<ExitStatus, Outcome> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let Said { output, stderr: tail, lines } = said;
    let mut served = std::pin::pin!(async {
        tokio::try_join!(
            feed(stdin, input),
            listen(stdout, Ear::Output(output)),
            listen(stderr, Ear::Complaints(tail, lines)),
        )
    });
    let lost = |error| HandlerError::new(format!("lost sight of the program: {error}")).retry();
    let status = tokio::select! {
        biased;
        all = &mut served => {
            all?;
            return child.wait().await.map_err(lost);
        }
        status = child.wait() => status.map_err(lost)?,
    };
    if let Ok(all) = timeout(LINGER, &mut served).await {
        all?;
        return Ok(status);
    }
    group.kill();
    tokio::select! {
        biased;
        all = &mut served => all.map(|_| status),
        // Somebody outside the group holds them. The program itself has said all it had to say.
        () = sleep(REAP) => Ok(status),
    }
}

async fn feed(stdin: Option<ChildStdin>, input: Stdin) -> Result<(), Outcome> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    let mut pieces = match input {
        Stdin::Bytes(bytes) => return write(&mut stdin, &bytes).await.map(|_| ()),
        Stdin::Pieces(pieces) => pieces,
    };
    while let Some(piece) = pieces.try_next().await? {
        if !write(&mut stdin, &piece).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// False: it had read enough. Whether that is an error is for its exit code to say.
async fn write(stdin: &mut ChildStdin, piece: &[u8]) -> Result<bool, Outcome> {
    match stdin.write_all(piece).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(HandlerError::new(format!("the program could not be given its input: {error}")).retry()),
    }
}

/// Where what comes out of a pipe goes.
enum Ear<'a> {
    Output(&'a mut Output),
    Complaints(&'a mut Tail, &'a mut LogLines),
}

async fn listen(pipe: Option<impl AsyncRead + Unpin>, mut ear: Ear<'_>) -> Result<(), Outcome> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut chunk = vec![0; CHUNK];
    loop {
        match (pipe.read(&mut chunk).await, &mut ear) {
            (Ok(0), _) => return Ok(()),
            (Ok(n), Ear::Output(output)) => output.write(&chunk[..n]).await?,
            (Ok(n), Ear::Complaints(tail, lines)) => {
                tail.push(&chunk[..n]);
                lines.push(&chunk[..n]);
            }
            (Err(error), _) => {
                return Err(HandlerError::new(format!("the program's output could not be read: {error}")).retry());
            }
        }
    }
}

#[cfg(test)]
mod tests;
