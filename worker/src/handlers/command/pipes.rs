//! A program's three pipes, served at once, so that none of them can block another.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::{sleep, timeout};

use super::super::process_tree::ProcessTree;
use super::super::spoken::{Lines, Spoken};
use super::{REAP, Said};
use crate::{Context, HandlerError, Outcome, Output};

/// How long pipes may stay open after the program's exit, held by what it started.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes read from a pipe at once: what a pipe holds.
pub(super) const CHUNK: usize = 64 * 1024;

/// What a program reads.
pub(super) enum Stdin {
    /// All of it.
    Bytes(Bytes),
    /// As fast as it reads.
    Pieces(BoxStream<'static, Result<Bytes, Outcome>>),
}

/// Serves a program until it has exited and its pipes are closed. What it left running does not hold up its end for longer
/// than [`LINGER`].
pub(super) async fn attend(
    child: &mut Child,
    tree: &ProcessTree,
    input: Stdin,
    said: &mut Said,
    context: &Context,
) -> Result<ExitStatus, Outcome> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let printed = match &mut said.output {
        Some(output) => Ear::Output(output),
        None => Ear::Log(Lines::default(), context),
    };
    let spoken = Ear::Spoken(&mut said.stderr);
    let mut served =
        std::pin::pin!(async { tokio::try_join!(feed(stdin, input), listen(stdout, printed), listen(stderr, spoken)) });
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
    if matches!(tree, ProcessTree::Group(_)) {
        tree.kill();
    }
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
    Spoken(&'a mut Spoken),
    Log(Lines, &'a Context),
}

async fn listen(pipe: Option<impl AsyncRead + Unpin>, mut ear: Ear<'_>) -> Result<(), Outcome> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = pipe
            .read(&mut chunk)
            .await
            .map_err(|error| HandlerError::new(format!("the program's output could not be read: {error}")).retry())?;
        match (read, &mut ear) {
            (0, Ear::Log(lines, context)) => {
                lines.finish(|line| context.log(String::from_utf8_lossy(line)));
                return Ok(());
            }
            (0, _) => return Ok(()),
            (n, Ear::Output(output)) => output.write(&chunk[..n]).await?,
            (n, Ear::Spoken(spoken)) => spoken.hear(&chunk[..n]),
            (n, Ear::Log(lines, context)) => {
                lines.push(&chunk[..n], |line| context.log(String::from_utf8_lossy(line)));
            }
        }
    }
}
