//! `raincheck result`: what a job made, byte for byte, with its digest checked.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raincheck_shared::lifecycle::IdSource;
use reqwest::Response;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::arguments::ResultArgs;
use super::connection::{Answer, header};
use super::follow::{follow, interruptible, waited};
use super::patience::{Ask, Caller, Silence};
use super::refusal::{explain, is_passing, outcome, refusal};
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// The longest pause in the middle of a result.
const NEXT_PART: Duration = Duration::from_secs(30);

pub(super) async fn run(arguments: &ResultArgs, caller: &Caller<'_>, terminal: &Terminal) -> Result<(), Failure> {
    let id = arguments.id.to_string();
    if arguments.wait {
        let ids = [id.clone()];
        outcome(&waited(follow(caller, &id, &|_| Ok(())), &ids, arguments.at_most).await?)?;
    }
    if arguments.reach.json {
        let job = caller.ask(&Ask::get(format!("/v1/jobs/{id}"))).await?.json;
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
pub(super) async fn fetch(id: &str, sink: &Sink<'_>, caller: &Caller<'_>, terminal: &Terminal) -> Result<(), Failure> {
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

async fn stream(id: &str, caller: &Caller<'_>, take: &mut Take<'_>) -> Result<(), Failure> {
    let mut silence = Silence::new();
    let mut so_far = SoFar { hasher: Sha256::new(), bytes: 0, digest: None, etag: None };
    loop {
        let why = match next(id, &so_far, caller).await {
            Ok(Ok(response)) if matches!(response.status().as_u16(), 200 | 206) => {
                match so_far.take_in(id, response, take).await? {
                    Got::All => return so_far.check(id),
                    Got::Part => {
                        silence.end();
                        format!("the result of job {id} was cut off after {} bytes", so_far.bytes)
                    }
                    Got::Nothing => format!("the result of job {id} was cut off after {} bytes", so_far.bytes),
                }
            }
            Ok(Ok(response)) => match Answer::read(response).await {
                Ok(answer) if is_passing(&answer) => {
                    caller.pause(&mut silence, &about(id, &explain(&answer)), answer.retry_after).await?;
                    continue;
                }
                Ok(answer) => return Err(without(id, &answer, caller).await),
                Err(error) => caller.unreached(&error)?,
            },
            Ok(Err(error)) => caller.unreached(&error)?,
            Err(_) => format!("{} does not answer", caller.base()),
        };
        caller.pause(&mut silence, &about(id, &why), None).await?;
    }
}

async fn next(
    id: &str,
    so_far: &SoFar,
    caller: &Caller<'_>,
) -> Result<Result<Response, reqwest::Error>, tokio::time::error::Elapsed> {
    let range = format!("bytes={}-", so_far.bytes);
    let mut ask = Ask::get(format!("/v1/jobs/{id}/result"));
    if let Some(etag) = so_far.etag.as_deref().filter(|_| so_far.bytes > 0) {
        ask = ask.header("range", &range).header("if-range", etag);
    }
    timeout(NEXT_PART, caller.open(&ask)).await
}

/// A job without a result: why, if it has ended.
async fn without(id: &str, answer: &Answer, caller: &Caller<'_>) -> Failure {
    if answer.json["code"] == "job-failed"
        && let Ok(job) = caller.ask(&Ask::get(format!("/v1/jobs/{id}"))).await
        && let Err(failure) = outcome(&job.json)
    {
        return failure;
    }
    match refusal(answer) {
        Failure::Asked { what, exit } => Failure::asked(exit, about(id, &what)),
        other => other,
    }
}

fn about(id: &str, why: &str) -> String {
    if why.contains(id) { why.to_owned() } else { format!("job {id}: {why}") }
}

/// What has been read.
struct SoFar {
    hasher: Sha256,
    bytes: u64,
    digest: Option<String>,
    etag: Option<String>,
}

enum Got {
    All,
    Part,
    Nothing,
}

impl SoFar {
    async fn take_in(&mut self, id: &str, mut response: Response, take: &mut Take<'_>) -> Result<Got, Failure> {
        if self.bytes > 0 && response.status() != 206 {
            return Err(Failure::new(format!("the result of job {id} was cut off, and cannot be gone on with")));
        }
        if self.bytes == 0 {
            self.digest = header(&response, "content-digest").map(str::to_owned);
            self.etag = header(&response, "etag").map(str::to_owned);
        }
        let mut got = Got::Nothing;
        loop {
            match timeout(NEXT_PART, response.chunk()).await {
                Ok(Ok(Some(part))) => {
                    take(&part)?;
                    self.hasher.update(&part);
                    self.bytes += part.len() as u64;
                    got = Got::Part;
                }
                Ok(Ok(None)) => return Ok(Got::All),
                Ok(Err(_)) | Err(_) => return Ok(got),
            }
        }
    }

    fn check(self, id: &str) -> Result<(), Failure> {
        let Some(said) = self.digest.as_deref().and_then(|field| field.split("sha-256=:").nth(1)?.split(':').next())
        else {
            return Ok(());
        };
        if STANDARD.encode(self.hasher.finalize()) == said {
            return Ok(());
        }
        Err(Failure::new(format!("the result of job {id} is not what its digest says: it was damaged on its way")))
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
