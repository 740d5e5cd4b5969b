//! `raincheck result`: what a job made, byte for byte, with its digest checked.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use raincheck_client::{Error, Request};
use raincheck_shared::lifecycle::IdSource;

use super::arguments::ResultArgs;
use super::caller::Caller;
use super::follow::{follow, interruptible, waited};
use super::refusal::outcome;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &ResultArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let id = arguments.id.to_string();
    if arguments.wait {
        let ids = [id.clone()];
        outcome(&waited(follow(caller, &id, &|_| Ok(())), &ids, arguments.at_most).await?)?;
    }
    if arguments.reach.json {
        let job = caller.ask(&Request::get(format!("/v1/jobs/{id}"))).await?.json;
        if job["done"] != true {
            return Err(Failure::asked(Exit::Refused, format!("job {id} is not finished")));
        }
        outcome(&job)?;
        if arguments.output.is_none() {
            return terminal.say(&job["result"]);
        }
        fetch(&id, &Sink::of(arguments.output.as_deref()), caller, terminal).await?;
        return terminal.say(&job["result"]);
    }
    fetch(&id, &Sink::of(arguments.output.as_deref()), caller, terminal).await
}

/// Where a result goes.
pub(super) enum Sink<'a> {
    Stdout,
    /// Under a name of its own until it is whole.
    File(&'a Path),
}

impl<'a> Sink<'a> {
    pub(super) fn of(path: Option<&'a Path>) -> Self {
        path.map_or(Self::Stdout, Self::File)
    }
}

/// Fetches a result. One that is cut is gone on with where it was cut.
pub(super) async fn fetch(id: &str, sink: &Sink<'_>, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let work = async {
        match sink {
            Sink::Stdout => stream(id, caller, &mut |part| terminal.write(part)).await,
            Sink::File(path) => {
                let mut draft = Draft::new(path)?;
                stream(id, caller, &mut |part| draft.write(part)).await?;
                draft.keep(path)
            }
        }
    };
    interruptible(work, || format!("stopped in the middle of a result; `raincheck result {id}` fetches it again")).await
}

type Take<'a> = dyn FnMut(&[u8]) -> Result<(), Failure> + 'a;

async fn stream(id: &str, caller: &Caller, take: &mut Take<'_>) -> Result<(), Failure> {
    let mut pieces = caller.job(id).download();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(bytes) => take(&bytes)?,
            Err(error) => return Err(without(id, &error, caller).await),
        }
    }
    Ok(())
}

/// A job without a result: why, if it has ended.
async fn without(id: &str, error: &Error, caller: &Caller) -> Failure {
    if error.problem().is_some_and(|problem| problem.code == "job-failed")
        && let Ok(job) = caller.ask(&Request::get(format!("/v1/jobs/{id}"))).await
        && let Err(failure) = outcome(&job.json)
    {
        return failure;
    }
    let about = |why: String| if why.contains(id) { why } else { format!("job {id}: {why}") };
    match caller.failure(error) {
        Failure::Asked { what, exit } => Failure::asked(exit, about(what)),
        Failure::Failed { what, source } => Failure::Failed { what: about(what), source },
        other => other,
    }
}

/// A file under a name of its own; removed unless it is kept.
struct Draft {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Draft {
    fn new(target: &Path) -> Result<Self, Failure> {
        let name =
            target.file_name().ok_or_else(|| Failure::Usage(format!("{} is no name of a file", target.display())))?;
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.part", IdSource.random().simple()));
        let path = target.with_file_name(draft);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Failure::because(format!("{} cannot be written", target.display()), error))?;
        Ok(Self { file, path, kept: false })
    }

    fn write(&mut self, part: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(part)
            .map_err(|error| Failure::because(format!("{} cannot be written", self.path.display()), error))
    }

    fn keep(mut self, target: &Path) -> Result<(), Failure> {
        let kept = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, target));
        kept.map_err(|error| Failure::because(format!("{} cannot be written", target.display()), error))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody looks for what is half there.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
