//! Follows a job to its end: by its stream of events, or by long polls where something between here and there holds
//! streams back.

use std::time::Duration;

use futures_util::future::{Either, select};
use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;

use super::connection::{Answer, header};
use super::event_reader::EventReader;
use super::patience::{Ask, Caller, Silence};
use super::refusal::{explain, is_passing, refusal};
use crate::failure::{Exit, Failure};

/// A stream says something every 15 s, and its first event at once.
const FIRST_EVENT: Duration = Duration::from_secs(10);
const NEXT_EVENT: Duration = Duration::from_secs(45);
/// How long one long poll is held; proxies cut at 60 s.
const HELD: &str = "25s";
/// A stream that ended and one that is opened again are so far apart, at least.
const BREATH: Duration = Duration::from_millis(100);
/// So many streams in a row that end without a word: something cuts them.
const CUT: u32 = 3;

/// Is given each version of a job once, in order.
pub(super) type Shown<'a> = dyn Fn(&Value) -> Result<(), Failure> + 'a;

/// What is known of a job.
struct Seen<'a> {
    id: &'a str,
    version: Option<u64>,
    shown: &'a Shown<'a>,
}

/// How a stream ended.
enum Ended {
    Job(Value),
    /// It ended, or was cut; there was something of use in it.
    Heard,
    /// The same, and there was nothing new in it.
    Quiet,
    /// There was nothing in it, or there is none.
    NoStream,
}

/// Follows it to its end, and gives the job as it ended.
pub(super) async fn follow(caller: &Caller<'_>, id: &str, shown: &Shown<'_>) -> Result<Value, Failure> {
    let mut seen = Seen { id, version: None, shown };
    let mut silence = Silence::new();
    let mut quiet = 0;
    loop {
        let ask = Ask::get(format!("/v1/jobs/{id}/events")).header("accept", "text/event-stream");
        let version = seen.version.map(|version| version.to_string());
        let ask = version.iter().fold(ask, |ask, version| ask.header("last-event-id", version));
        let opened = timeout(NEXT_EVENT, caller.open(&ask)).await;
        let why = match opened {
            Ok(Ok(response)) if is_stream(&response) => match listen(response, &mut seen).await? {
                Ended::Job(job) => return Ok(job),
                Ended::NoStream => return poll(caller, seen).await,
                Ended::Quiet if quiet >= CUT => return poll(caller, seen).await,
                ended => {
                    quiet = if matches!(ended, Ended::Heard) { 0 } else { quiet + 1 };
                    silence.end();
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            },
            Ok(Ok(response)) => match read_refusal(caller, response).await {
                Ok(answer) if is_passing(&answer) => {
                    caller.pause(&mut silence, &goes_on(id, &explain(&answer)), answer.retry_after).await?;
                    continue;
                }
                // Whether it is the job or only its stream that is not there, a poll tells. 204: all has been said.
                Ok(_) => return poll(caller, seen).await,
                Err(why) => why?,
            },
            Ok(Err(error)) => caller.unreached(&error)?,
            Err(_) => format!("{} does not answer", caller.base()),
        };
        caller.pause(&mut silence, &goes_on(id, &why), None).await?;
    }
}

fn is_stream(response: &Response) -> bool {
    response.status() == 200
        && header(response, "content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
}

async fn read_refusal(caller: &Caller<'_>, response: Response) -> Result<Answer, Result<String, Failure>> {
    Answer::read(response).await.map_err(|error| caller.unreached(&error))
}

async fn listen(mut response: Response, seen: &mut Seen<'_>) -> Result<Ended, Failure> {
    let mut reader = EventReader::default();
    // What has been seen already is not sent again, so only a first stream has to begin with an event.
    let mut ended = if seen.version.is_none() { Ended::NoStream } else { Ended::Quiet };
    loop {
        let patience = if matches!(ended, Ended::NoStream) { FIRST_EVENT } else { NEXT_EVENT };
        match timeout(patience, response.chunk()).await {
            Ok(Ok(Some(bytes))) if reader.push(&bytes) => {}
            // Comments keep it alive; a stream that lived for a while was not cut off by something in between.
            Err(_) if matches!(ended, Ended::Quiet) => return Ok(Ended::Heard),
            _ => return Ok(ended),
        }
        while let Some(event) = reader.next() {
            let Ok(job) = serde_json::from_str::<Value>(&event.data) else { continue };
            ended = Ended::Heard;
            if seen.take(&job)? {
                return Ok(Ended::Job(job));
            }
        }
    }
}

async fn poll(caller: &Caller<'_>, mut seen: Seen<'_>) -> Result<Value, Failure> {
    let id = seen.id;
    let mut silence = Silence::new();
    loop {
        let tag = seen.version.map(|version| format!("\"{version}\""));
        // The first is answered at once, to have something to show.
        let path = if tag.is_some() { format!("/v1/jobs/{id}?wait={HELD}") } else { format!("/v1/jobs/{id}") };
        let ask = tag.iter().fold(Ask::get(path), |ask, tag| ask.header("if-none-match", tag));
        match caller.settled(&ask).await {
            Ok(answer) if answer.status == 200 => {
                let moved = seen.version != answer.json["version"].as_u64();
                if seen.take(&answer.json)? {
                    return Ok(answer.json);
                }
                // Without news it was no long poll that answered: a proxy, perhaps. Then the server says how often.
                if !moved {
                    tokio::time::sleep(pause(&answer)).await;
                }
                silence.end();
            }
            Ok(answer) if answer.status == 304 => tokio::time::sleep(BREATH).await,
            Ok(answer) => return Err(refusal(&answer)),
            Err(Failure::Asked { what, exit }) => return Err(Failure::Asked { what: goes_on(id, &what), exit }),
            Err(failure) => return Err(failure),
        }
    }
}

fn pause(answer: &Answer) -> Duration {
    let asked = answer.json["poll_after_ms"].as_u64().map(Duration::from_millis).or(answer.retry_after);
    asked.unwrap_or(Duration::from_secs(1)).clamp(BREATH, Duration::from_secs(30))
}

impl Seen<'_> {
    /// Shows it if it is new. True: it has ended.
    fn take(&mut self, job: &Value) -> Result<bool, Failure> {
        let version = job["version"].as_u64();
        if self.version.is_none() || version > self.version {
            self.version = version;
            (self.shown)(job)?;
        }
        Ok(job["done"] == true)
    }
}

fn goes_on(id: &str, why: &str) -> String {
    format!("lost sight of job {id}, which goes on: {why}\n  come back with `raincheck watch {id}`")
}

/// Waits for `work`, unless Ctrl-C or the end of `at_most` comes first: then says how to come back to these jobs.
pub(super) async fn waited<T>(
    work: impl Future<Output = Result<T, Failure>>,
    ids: &[String],
    at_most: Option<Duration>,
) -> Result<T, Failure> {
    let jobs = if let [id] = ids { format!("job {id} goes on") } else { format!("{} jobs go on", ids.len()) };
    let back = format!("{jobs}; come back with `raincheck watch {}`", ids.join(" "));
    let limited = async {
        match at_most {
            None => work.await,
            Some(limit) => timeout(limit, work).await.unwrap_or_else(|_| {
                let limit = raincheck_shared::config::format_duration(limit);
                Err(Failure::asked(Exit::OutOfTime, format!("not done after {limit}: {back}")))
            }),
        }
    };
    interruptible(limited, || format!("stopped waiting: {back}")).await
}

/// Does `work`, unless Ctrl-C comes first: then it is dropped, which tidies up, and `said` is said.
pub(super) async fn interruptible<T>(
    work: impl Future<Output = Result<T, Failure>>,
    said: impl FnOnce() -> String,
) -> Result<T, Failure> {
    // Listened for first: `work` may say something at once, and whoever reads that may press Ctrl-C then.
    match select(Box::pin(tokio::signal::ctrl_c()), Box::pin(work)).await {
        Either::Right((done, _)) => done,
        Either::Left(_) => Err(Failure::asked(Exit::Interrupted, said())),
    }
}
