//! Runs the shared cases with this client, as the stage in clients/cases has it. Every name is printed with how it went.

#![expect(clippy::print_stdout, reason = "what it is for")]

mod beyond_jobs;

use std::error::Error as StdError;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use raincheck_client::{Client, Error, ErrorKind, Job, JobHandle, JobResult, NewJob, Request, WebhookKeys};
use serde_json::Value;
use tokio::time::Instant;

/// Cases at once.
const AT_ONCE: usize = 12;

type Outcome = Result<(), Box<dyn StdError>>;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn StdError>> {
    let folder = PathBuf::from(std::env::var("RAINCHECK_CASES")?);
    let keys = serde_json::from_str(&std::env::var("RAINCHECK_CASES_KEYS")?)?;
    let stage = Stage { proxy: std::env::var("RAINCHECK_CASES_PROXY")?, keys };
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let read = |name: &str| -> Result<Value, Box<dyn StdError>> {
        Ok(serde_json::from_slice(&std::fs::read(folder.join(name))?)?)
    };
    let (cases, webhooks) = (read("cases.json")?, read("webhooks.json")?);
    let named = |case: &&Value| text(&case["name"]).contains(&wanted);
    let mut done = Vec::new();
    let all = list(&cases).iter().filter(named).map(|case| {
        let stage = &stage;
        async move { (case, stage.run(case).await) }
    });
    let mut runs = stream::iter(all).buffered(AT_ONCE);
    while let Some((case, failures)) = runs.next().await {
        done.push(told(case, &failures));
    }
    for case in list(&webhooks["cases"]).iter().filter(named) {
        done.push(told(case, &webhook(case).err().map(|error| error.to_string()).into_iter().collect::<Vec<_>>()));
    }
    let passed = done.iter().filter(|passed| **passed).count();
    println!("rust: {passed} of {} cases passed", done.len());
    Ok(if passed == done.len() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says how a case went, and gives whether it went well.
fn told(case: &Value, failures: &[String]) -> bool {
    println!("{} {}", if failures.is_empty() { "ok     " } else { "not ok " }, text(&case["name"]));
    for failure in failures {
        println!("        {}", failure.replace('\n', "\n        "));
    }
    failures.is_empty()
}

/// Where the cases run.
struct Stage {
    proxy: String,
    /// API keys by their names in the cases.
    keys: Value,
}

impl Stage {
    async fn run(&self, case: &Value) -> Vec<String> {
        match self.play(case).await {
            Ok(failures) => failures,
            Err(error) => vec![format!("the case could not be run: {error}")],
        }
    }

    async fn play(&self, case: &Value) -> Result<Vec<String>, Box<dyn StdError>> {
        let control = Client::new(&self.proxy)?;
        let made = control.call(&Request::post("/_cases", "application/json", case.to_string())).await?;
        let base = text(&made.json::<Value>()?["base"]).to_owned();
        let slash = if case["slash"] == true { "/" } else { "" };
        let key = text(&self.keys[case["api_key"].as_str().unwrap_or("usual")]);
        let mut builder = Client::builder(format!("{}{base}{slash}", self.proxy)).api_key(key);
        builder = builder.retry_budget(Duration::from_secs(30)).stream_patience(Duration::from_secs(5));
        for (name, value) in case["client"].as_object().into_iter().flatten() {
            let time = Duration::from_secs_f64(value.as_f64().ok_or("no number of seconds")?);
            builder = match name.as_str() {
                "retry_budget" => builder.retry_budget(time),
                "request_timeout" => builder.request_timeout(time),
                "stream_patience" => builder.stream_patience(time),
                "long_poll" => builder.long_poll(time),
                other => return Err(format!("no setting of a client: {other}").into()),
            };
        }
        let mut run = Run {
            client: builder.build()?,
            unique: base.clone() + &self.proxy,
            handle: None,
            key: None,
            sent: Vec::new(),
        };
        let mut failures = Vec::new();
        for (number, step) in list(&case["steps"]).iter().enumerate() {
            if let Err(error) = run.step(step).await {
                failures.push(format!("step {}, {}: {error}", number + 1, step["do"]));
                break;
            }
        }
        let number = base.rsplit('/').next().unwrap_or_default();
        let verdict: Value = control.call(&Request::get(format!("/_cases/{number}/verdict"))).await?.json()?;
        failures.extend(list(&verdict["failures"]).iter().map(|failure| text(failure).to_owned()));
        if !failures.is_empty() {
            let requests = list(&verdict["requests"]);
            let at = |request: &Value| request["at"].as_f64().unwrap_or_default();
            let first = requests.first().map(at).unwrap_or_default();
            failures.extend(requests.iter().map(|request| {
                let part = |name: &str| text(&request[name]);
                format!("{:8.3} s  {} {}: {}", at(request) - first, part("class"), part("target"), part("fault"))
            }));
        }
        Ok(failures)
    }
}

/// One case. `handle` is the job of the latest submit, `key` its idempotency key.
struct Run {
    client: Client,
    unique: String,
    handle: Option<JobHandle>,
    key: Option<String>,
    sent: Vec<u8>,
}

impl Run {
    fn job(&self) -> Result<&JobHandle, Box<dyn StdError>> {
        self.handle.as_ref().ok_or_else(|| "no job was submitted".into())
    }

    async fn step(&mut self, step: &Value) -> Outcome {
        let started = Instant::now();
        let expect = &step["expect"];
        let done = self.act(step).await;
        match (done, &step["error"]) {
            (Ok(came), Value::Null) => self.check(came, expect)?,
            (Ok(_), wanted) => return Err(format!("it went well, wanted: {wanted}").into()),
            (Err(failed), Value::Null) => return Err(failed),
            (Err(failed), wanted) => {
                let error = failed.downcast::<Error>()?;
                if let Some(key) = error.idempotency_key() {
                    self.key = Some(key.to_owned());
                }
                self.fits(&error, wanted)?;
            }
        }
        match step["within"].as_f64() {
            Some(limit) if started.elapsed().as_secs_f64() > limit => {
                Err(format!("it took {:?}, wanted: {limit} s", started.elapsed()).into())
            }
            _ => Ok(()),
        }
    }

    async fn act(&mut self, step: &Value) -> Result<Came, Box<dyn StdError>> {
        let within = Duration::from_secs_f64(step["timeout"].as_f64().unwrap_or(60.0));
        Ok(match text(&step["do"]) {
            "submit" => self.submit(NewJob::json(text(&step["kind"]), &step["input"])?, step).await?,
            "submit_bytes" => {
                let size = step["size"].as_u64().ok_or("no size")?;
                self.sent = (0..size).map(|i| u8::try_from(i * 31 % 251).unwrap_or_default()).collect();
                let kind = step["content_type"].as_str().unwrap_or("application/octet-stream");
                self.submit(NewJob::bytes(text(&step["kind"]), kind, self.sent.clone()), step).await?
            }
            "open" => {
                let id = if step["id"] == "$unknown" { fresh_id()? } else { text(&step["id"]).to_owned() };
                self.handle = Some(self.client.job(id));
                Came::Nothing
            }
            "wait" => Came::Job(self.job()?.wait(within).await?),
            "stream" => {
                let mut jobs = Vec::new();
                let mut snapshots = std::pin::pin!(self.job()?.stream(within).into_stream());
                while let Some(job) = snapshots.next().await {
                    jobs.push(job?);
                }
                Came::Jobs(jobs)
            }
            "result" => Came::Result(self.job()?.result(within).await?),
            "download" => {
                let mut pieces = self.job()?.download();
                let mut body = Vec::new();
                while let Some(piece) = pieces.next().await {
                    body.extend_from_slice(&piece?);
                }
                let content_type = pieces.content_type().unwrap_or_default().to_owned();
                Came::Result(JobResult { body: body.into(), content_type, verified: pieces.verified() })
            }
            "schedule" => self.schedule(step).await?,
            "trigger" => {
                let triggered = self.client.schedules().trigger(text(&step["name"]), None).await?;
                self.submitted(triggered)?
            }
            "redrive" => self.redrive(step).await?,
            "cancel" => Came::Job(self.job()?.cancel(step["reason"].as_str()).await?),
            "find" => {
                let key = step["key"].as_str().map(str::to_owned).or_else(|| self.key.clone()).ok_or("no key")?;
                let found = self.client.find_by_idempotency_key(&key).await?;
                if step["expect"]["adopt"] == true {
                    self.handle.clone_from(&found);
                } else if let Some(found) = &found {
                    same("the job that was found", found.id(), self.job()?.id())?;
                }
                Came::Found(found.is_some())
            }
            other => return Err(format!("no such step: {other}").into()),
        })
    }

    async fn submit(&mut self, mut job: NewJob, step: &Value) -> Result<Came, Box<dyn StdError>> {
        for (name, value) in step["options"].as_object().into_iter().flatten() {
            job = job.option(name, value.clone());
        }
        if let Some(key) = step["key"].as_str() {
            job = job.idempotency_key(if key == "$unique" { &self.unique } else { key });
        }
        let handle = self.client.submit(job).await?;
        self.submitted(handle)
    }

    fn submitted(&mut self, handle: JobHandle) -> Result<Came, Box<dyn StdError>> {
        same("the version of the job's id", handle.id().as_bytes().get(14), Some(&b'7'))?;
        self.key = handle.idempotency_key().map(str::to_owned);
        self.handle = Some(handle);
        Ok(Came::Nothing)
    }

    fn check(&self, came: Came, expect: &Value) -> Outcome {
        match came {
            Came::Nothing => Ok(()),
            Came::Found(found) => same("found", Some(found), expect["found"].as_bool()),
            Came::Job(job) => {
                if let Some(status) = expect["status"].as_str() {
                    same("the status", job.status(), status)?;
                }
                expect.get("value").map_or(Ok(()), |value| same("the value", job.value(), Some(value)))
            }
            Came::Jobs(jobs) => ended(&jobs, expect),
            Came::Result(result) => {
                if let Some(json) = expect.get("json") {
                    same("the result", &result.json::<Value>()?, json)?;
                }
                if expect["bytes_of_input"] == true && result.body != self.sent {
                    return Err(format!("{} bytes, which are not those that were sent", result.body.len()).into());
                }
                if let Some(kind) = expect["content_type"].as_str() {
                    same("the media type", result.content_type.as_str(), kind)?;
                }
                expect["verified"].as_bool().map_or(Ok(()), |verified| same("verified", result.verified, verified))
            }
        }
    }

    fn fits(&self, error: &Error, wanted: &Value) -> Outcome {
        let (name, status) = match error.kind() {
            ErrorKind::Api(problem) => ("api", Some(problem.status)),
            ErrorKind::Unreachable { status, .. } => ("unreachable", *status),
            ErrorKind::Redirected { status, .. } => ("redirected", Some(*status)),
            ErrorKind::Timeout { .. } => ("timeout", None),
            ErrorKind::JobFailed(_) => ("job_failed", None),
            ErrorKind::ResultDamaged => ("damaged", None),
            ErrorKind::Invalid(_) => ("invalid", None),
            _ => ("another", None),
        };
        same("the type of the error", name, text(&wanted["type"]))?;
        if let Some(wanted) = wanted["status"].as_u64() {
            same("status", status.map(u64::from), Some(wanted))?;
        }
        let problem = error.problem();
        for (name, is) in [
            ("code", problem.map(|problem| problem.code.as_str())),
            ("detail", problem.map(|problem| problem.detail.as_str())),
            ("request_id", problem.and_then(|problem| problem.request_id.as_deref())),
        ] {
            if wanted.get(name).is_some() {
                same(name, is, wanted[name].as_str())?;
            }
        }
        if let ErrorKind::JobFailed(job) = error.kind() {
            same("the status of the job", job.status(), text(&wanted["job_status"]))?;
            same("the error of the job", job.error().map(|error| error.code), wanted["job_code"].as_str())?;
        }
        if wanted["has_request_id"] == true && problem.is_none_or(|problem| problem.request_id.is_none()) {
            return Err("the error has no request_id".into());
        }
        let said = error.to_string();
        if wanted["names_key"] == true && !error.idempotency_key().is_some_and(|key| said.contains(key)) {
            return Err(format!("the error does not name the key: {said}").into());
        }
        if let Some(word) = wanted["says"].as_str() {
            same("what it says", said.contains(word), true)?;
        }
        if wanted["names_job"] == true {
            let id = self.job()?.id();
            same("the job of the error", error.job_id(), Some(id))?;
            if !said.contains(id) {
                return Err(format!("the message does not name the job: {said}").into());
            }
        }
        Ok(())
    }
}

/// What came of a step.
enum Came {
    Nothing,
    Found(bool),
    Job(Job),
    Jobs(Vec<Job>),
    Result(JobResult),
}

fn ended(jobs: &[Job], expect: &Value) -> Outcome {
    let versions: Vec<u64> = jobs.iter().map(Job::version).collect();
    if !versions.is_sorted_by(|a, b| a < b) {
        return Err(format!("versions do not rise: {versions:?}").into());
    }
    if (jobs.len() as u64) < expect["at_least"].as_u64().unwrap_or_default() {
        return Err(format!("{} snapshots, wanted: {}", jobs.len(), expect["at_least"]).into());
    }
    let done: Vec<usize> = (0..jobs.len()).filter(|at| jobs[*at].done()).collect();
    same("which are done", done, vec![jobs.len() - 1])?;
    same("the last status", jobs[jobs.len() - 1].status(), text(&expect["last"]))?;
    if expect["progress"] == true {
        let percents: Vec<f64> = jobs.iter().filter_map(|job| job.progress()?.percent).collect();
        if percents.len() < 2 || !percents.is_sorted() {
            return Err(format!("progress: {percents:?}").into());
        }
    }
    Ok(())
}

fn webhook(case: &Value) -> Outcome {
    let keys: Vec<&str> = match &case["secret"] {
        Value::Array(keys) => keys.iter().map(text).collect(),
        key => vec![text(key)],
    };
    let headers = case["headers"].as_object().into_iter().flatten().map(|(name, value)| (name, text(value)));
    let now = case["now"].as_i64().ok_or("no time")?;
    let body = text(&case["body"]);
    match (WebhookKeys::new(keys)?.verify_at(body.as_bytes(), headers, now), case["accepted"] == true) {
        (Ok(event), true) => same("the event", event.raw, serde_json::from_str::<Value>(body)?),
        (Err(_), false) => Ok(()),
        (Ok(_), false) => Err("accepted".into()),
        (Err(rejected), true) => Err(format!("rejected: {rejected}").into()),
    }
}

/// A UUIDv7 of now, which is nobody's.
#[expect(clippy::disallowed_methods, reason = "this stands alone: it has no IdSource of the server's")]
fn fresh_id() -> Result<String, Box<dyn StdError>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let digits = format!("{now:012x}");
    Ok(format!("{}-{}-7000-8000-{:012x}", &digits[..8], &digits[8..], now ^ 0xc0ff_ee00_0000))
}

#[expect(clippy::needless_pass_by_value, reason = "what is compared is mostly made on the spot")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, wanted: T) -> Outcome {
    if is == wanted { Ok(()) } else { Err(format!("{what} is {is:?}, wanted: {wanted:?}").into()) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
