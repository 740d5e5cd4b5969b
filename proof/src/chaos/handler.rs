//! The handler of the trials: does as its input says, and writes down when each run started and how it ended.
//!
//! It runs inside a worker's process, so it stands still and dies with it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use raincheck_shared::domain::Payload;
use raincheck_worker::{Context, Handler, HandlerError, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::history::{Output, Run};
use super::moment::Moment;
use crate::stage::wait::unique;

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Repeated in the result.
    pub number: u64,
    /// How long it takes.
    pub millis: u64,
    /// Attempts that fail before one does not.
    pub failures: i32,
    /// Whether those failures are for good.
    pub fatal: bool,
    /// Whether it reports progress on its way.
    pub reports: bool,
    /// Whether it ignores being told to stop.
    pub stubborn: bool,
    /// Bytes that its result is padded with.
    pub padding: usize,
}

/// The handler.
#[derive(Debug, Clone)]
pub struct Journaled {
    journal: Arc<Mutex<File>>,
    process: String,
}

impl Journaled {
    /// Writes to `runs-PROCESS.jsonl` in the folder, after what is there.
    pub fn open(folder: &Path, process: &str) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(folder.join(format!("runs-{process}.jsonl")))?;
        Ok(Self { journal: Arc::new(Mutex::new(file)), process: process.to_owned() })
    }

    fn write(&self, line: &serde_json::Value) {
        let line = format!("{line}\n");
        // One write for each line: what is written outlives the process, and no line is torn by its death.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()).unwrap();
    }
}

#[async_trait]
impl Handler for Journaled {
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        let order: Order = match serde_json::from_slice(&input.bytes) {
            Ok(order) => order,
            Err(error) => return HandlerError::new(format!("not an order: {error}")).fail(),
        };
        let mut trace = Trace::begin(self.clone(), &context);
        let work = work(&order, &context);
        let stopped = tokio::select! {
            () = work => false,
            () = context.canceled(), if !order.stubborn => true,
        };
        if stopped {
            trace.end("stopped");
            return Outcome::stopped();
        }
        if context.attempt() <= order.failures {
            trace.end("failed");
            let error = HandlerError::new(format!("attempt {} was to fail [run {}]", context.attempt(), trace.run));
            return if order.fatal { error.fail() } else { error.retry() };
        }
        trace.end("complete");
        let output = Output {
            job: context.job_id().to_string(),
            attempt: context.attempt().into(),
            run: trace.run.clone(),
            number: order.number,
        };
        let mut output = json!(output);
        output["padding"] = "x".repeat(order.padding).into();
        Outcome::Complete(Payload::json(output.to_string()))
    }
}

async fn work(order: &Order, context: &Context) {
    const PARTS: u32 = 16;
    for part in 1..=PARTS {
        tokio::time::sleep(Duration::from_millis(order.millis) / PARTS).await;
        if order.reports {
            context.report(f64::from(part * 100 / PARTS), format!("part {part}"));
        }
    }
}

/// One run in the journal. A run that is dropped says so.
struct Trace {
    handler: Journaled,
    run: String,
    ended: bool,
}

impl Trace {
    fn begin(handler: Journaled, context: &Context) -> Self {
        let run = unique();
        let start = Moment::now();
        handler.write(&json!({
            "run": run,
            "job": context.job_id().to_string(),
            "attempt": context.attempt(),
            "process": handler.process,
            "pid": std::process::id(),
            "start": start,
        }));
        Self { handler, run, ended: false }
    }

    fn end(&mut self, how: &str) {
        self.ended = true;
        self.handler.write(&json!({ "run": self.run, "end": Moment::now(), "how": how }));
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if !self.ended {
            self.end("dropped");
        }
    }
}

/// Reads what all handlers wrote into a folder.
pub fn read_runs(folder: &Path) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("runs-") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let mut places = std::collections::HashMap::new();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
            let moment = |field: &str| {
                let wall = || line[format!("{field}_wall")].as_i64().map(Moment::of_wall);
                line[field].as_i64().map(Moment).or_else(wall)
            };
            if let Some(start) = moment("start") {
                if let Some(beside) = line["beside"].as_str() {
                    end_others(&mut runs, &text("job"), start, beside);
                }
                places.insert(text("run"), runs.len());
                runs.push(Run {
                    job: text("job"),
                    attempt: line["attempt"].as_i64().unwrap(),
                    run: text("run"),
                    process: text("process"),
                    pid: u32::try_from(line["pid"].as_u64().unwrap()).unwrap(),
                    start,
                    end: None,
                });
            } else if let (Some(end), Some(place)) = (moment("end"), places.get(&text("run"))) {
                runs[*place].end = Some((end, text("how")));
            }
        }
    }
    runs
}

/// Where handlers are programs, a run can be killed before it says a word. So each says at its start which earlier runs of
/// its job it has found alive; the others have ended.
fn end_others(runs: &mut [Run], job: &str, at: Moment, beside: &str) {
    let gone = |run: &&mut Run| run.job == job && run.end.is_none() && !beside.contains(&run.run);
    for run in runs.iter_mut().filter(gone) {
        run.end = Some((at, "killed".to_owned()));
    }
}
