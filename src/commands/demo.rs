//! `raincheck demo`: orders a takeaway and watches it cook. It talks HTTP only, as any client would.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::config::{BlobPlace, BrokerSettings, Settings, StoreSettings};
use raincheck_shared::lifecycle::{Clock, IdSource, Shutdown, SystemClock};
use serde_json::{Value, json};

use crate::cli::DemoArgs;
use crate::client::{Answer, Client, base_url};
use crate::failure::Failure;
use crate::instance::{Instance, Roles};
use crate::terminal::Terminal;

/// How long the whole meal may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one request may be held open.
const WAIT: &str = "10s";
/// How long one request may take in all.
const REQUEST: Duration = Duration::from_secs(20);
const SECONDS_OF_COOKING: f64 = 4.0;

pub(super) async fn run(arguments: &DemoArgs, settings: Settings, terminal: &Terminal) -> Result<(), Failure> {
    if let Some(url) = &arguments.url {
        return order(&Client::new(url)?, &arguments.dish, terminal).await;
    }
    let near = Client::new(&base_url(settings.http.listen))?;
    if near.get("/readyz", &[], Duration::from_secs(1)).await.is_ok_and(|answer| answer.status == 200) {
        return order(&near, &arguments.dish, terminal).await;
    }
    terminal.line(format_args!("Nothing is ready at {}: starting a raincheck for this demo.", near.base()));
    let kitchen = Kitchen::open(settings).await?;
    let eaten = match Client::new(&kitchen.base) {
        Ok(client) => tokio::select! {
            eaten = order(&client, &arguments.dish, terminal) => eaten,
            // The folder goes, whichever way this ends.
            _ = tokio::signal::ctrl_c() => Err(Failure::new("the order was left behind, and its kitchen is gone")),
        },
        Err(failure) => Err(failure),
    };
    // A failure of the order says more than one of the end.
    let closed = kitchen.instance.stop().await;
    eaten.and(closed)
}

/// An instance of the demo's own, over a folder that goes with it.
struct Kitchen {
    base: String,
    instance: Instance,
    _folder: Folder,
}

impl Kitchen {
    async fn open(mut settings: Settings) -> Result<Self, Failure> {
        let folder = Folder::new()?;
        settings.store = StoreSettings::Sqlite { path: folder.0.join("raincheck.db") };
        settings.blobs.place = BlobPlace::Directory { path: folder.0.join("blobs") };
        settings.broker = BrokerSettings::InProcess;
        settings.worker.queues.clear();
        settings.http.listen = ([127, 0, 0, 1], 0).into();
        let started = Instance::start(Arc::new(settings), Roles::All, Shutdown::new()).await?;
        let Some(instance) = started else { return Err(Failure::new("the demo's own raincheck did not start")) };
        let Some(listen) = instance.address() else { return Err(Failure::new("the demo's own raincheck has no API")) };
        Ok(Self { base: base_url(listen), instance, _folder: folder })
    }
}

/// Removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("raincheck-demo-{}", IdSource.random()));
        std::fs::create_dir_all(&path)
            .map_err(|error| Failure::because(format!("no folder at {}", path.display()), error))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the machine's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn order(client: &Client, dish: &str, terminal: &Terminal) -> Result<(), Failure> {
    let clock = SystemClock::shared();
    let accepted = submit(client, dish, terminal).await?;
    let Some(id) = accepted.json["id"].as_str() else {
        return Err(Failure::new(format!("{} does not answer like a raincheck", client.base())));
    };
    terminal.heading(format_args!("Order {id} is taken. You could go home now, and ask with this number."));
    terminal.line(format_args!("  GET {}/v1/jobs/{id}", client.base()));
    let job = watch(client, id, accepted.etag.clone(), &*clock, terminal).await?;
    serve(client, id, &job, terminal).await
}

/// Submits, again if there is no room just now: the key makes one order of it.
async fn submit(client: &Client, dish: &str, terminal: &Terminal) -> Result<Answer, Failure> {
    let key = IdSource.random().to_string();
    let input = json!({"dish": dish, "seconds": SECONDS_OF_COOKING});
    terminal.line(format_args!("POST {}/v1/kinds/takeaway/jobs  {input}", client.base()));
    for _ in 0..5 {
        let answer = client
            .post("/v1/kinds/takeaway/jobs", &[("idempotency-key", &key)], &input, REQUEST)
            .await
            .map_err(|error| Failure::because(format!("{} does not answer", client.base()), error))?;
        match answer.status {
            200 | 202 => return Ok(answer),
            429 | 503 => tokio::time::sleep(answer.retry_after.unwrap_or(Duration::from_secs(1))).await,
            _ => return Err(Failure::new(format!("the order was refused with {}", answer.problem()))),
        }
    }
    Err(Failure::new(format!("{} has no room for an order just now", client.base())))
}

/// Follows the job to its end, by long polls: each is answered when there is something new.
/// `seen`: the ETag of what is known already.
async fn watch(
    client: &Client,
    id: &str,
    mut seen: Option<String>,
    clock: &dyn Clock,
    terminal: &Terminal,
) -> Result<Value, Failure> {
    let started = clock.monotonic();
    let mut shown = String::new();
    while clock.monotonic().duration_since(started) < PATIENCE {
        let condition: Vec<(&'static str, &str)> = seen.iter().map(|etag| ("if-none-match", etag.as_str())).collect();
        let answer = client.get(&format!("/v1/jobs/{id}?wait={WAIT}"), &condition, REQUEST).await;
        let pause = match answer {
            Ok(answer) if answer.status == 200 => {
                show(&answer.json, &mut shown, terminal);
                if answer.json["done"] == true {
                    terminal.progress_done();
                    return Ok(answer.json);
                }
                let moved = seen != answer.etag;
                let pause = pause(&answer);
                seen = answer.etag;
                // Without news it was no long poll that answered: a proxy, perhaps. Then the server says how often.
                if moved { Duration::ZERO } else { pause }
            }
            Ok(answer) if answer.status == 304 => Duration::ZERO,
            Ok(answer) if matches!(answer.status, 429 | 503) => pause(&answer),
            Ok(answer) => {
                terminal.progress_done();
                return Err(Failure::new(format!("the order was lost sight of: {}", answer.problem())));
            }
            // An API that restarts: the job does not mind.
            Err(error) => {
                tracing::debug!(%error, "no answer");
                Duration::from_secs(1)
            }
        };
        tokio::time::sleep(pause).await;
    }
    terminal.progress_done();
    Err(Failure::new(format!(
        "order {id} is not done after {} s: is there a worker? `raincheck doctor` looks",
        PATIENCE.as_secs()
    )))
}

fn pause(answer: &Answer) -> Duration {
    let asked = answer.json["poll_after_ms"].as_u64().map(Duration::from_millis).or(answer.retry_after);
    asked.unwrap_or(Duration::from_secs(1)).clamp(Duration::from_millis(100), Duration::from_secs(30))
}

/// Draws how far it is, unless that is what stands there already.
fn show(job: &Value, shown: &mut String, terminal: &Terminal) {
    let percent = match job["status"].as_str() {
        Some("succeeded") => 100.0,
        _ => job["progress"]["percent"].as_f64().unwrap_or(0.0),
    };
    let status = job["status"].as_str().unwrap_or("?");
    let text = match job["progress"]["message"].as_str() {
        Some(message) if job["done"] == false => format!("{status}: {message}"),
        _ => status.to_owned(),
    };
    let line = format!("{percent:.0} {text}");
    if line != *shown {
        terminal.progress(percent, &text);
        *shown = line;
    }
}

async fn serve(client: &Client, id: &str, job: &Value, terminal: &Terminal) -> Result<(), Failure> {
    if job["status"] != "succeeded" {
        let why = job["error"]["message"].as_str().unwrap_or("no reason was given");
        return Err(Failure::new(format!("the order ended as {}: {why}", job["status"].as_str().unwrap_or("?"))));
    }
    let meal = match &job["result"]["value"] {
        // Too long to be part of the job.
        Value::Null => {
            client
                .get(&format!("/v1/jobs/{id}/result"), &[], REQUEST)
                .await
                .map_err(|error| Failure::because("the meal did not arrive", error))?
                .json
        }
        meal => meal.clone(),
    };
    match meal["meal"].as_str() {
        Some(meal) => terminal.heading(format_args!("{meal}. Enjoy!")),
        None => terminal.heading(meal),
    }
    Ok(())
}
