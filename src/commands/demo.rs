//! `raincheck demo`: orders a takeaway and watches it cook. It talks HTTP only, as any client would.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raincheck_client::{Client, Error, ErrorKind, NewJob};
use raincheck_shared::config::{BlobPlace, BrokerSettings, Settings, StoreSettings};
use raincheck_shared::lifecycle::{IdSource, Shutdown};
use serde_json::{Value, json};

use crate::cli::DemoArgs;
use crate::client::{base_url, connect, failure, is_ready};
use crate::failure::Failure;
use crate::instance::{Instance, Roles};
use crate::terminal::Terminal;

/// How long the whole meal may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long an instance may be away, or without room.
const BUDGET: Duration = Duration::from_secs(5);
const SECONDS_OF_COOKING: f64 = 4.0;

pub(super) async fn run(arguments: &DemoArgs, settings: Settings, terminal: &Terminal) -> Result<(), Failure> {
    let variable = || std::env::var("RAINCHECK_API_KEY").ok().filter(|key| !key.is_empty());
    let key = arguments.api_key.clone().or_else(variable);
    let client = |url: &str, key: Option<&str>| {
        let built = connect(url, key, None)?.retry_budget(BUDGET).build();
        built.map_err(|error| failure(&error, url))
    };
    if let Some(url) = &arguments.url {
        return order(&client(url, key.as_deref())?, &arguments.dish, terminal).await;
    }
    let near = client(&base_url(settings.http.listen), key.as_deref())?;
    if is_ready(near.base_url(), Duration::from_secs(1)).await {
        return order(&near, &arguments.dish, terminal).await;
    }
    terminal.line(format_args!("Nothing is ready at {}: starting a raincheck for this demo.", near.base_url()));
    let kitchen = Kitchen::open(settings).await?;
    // Its store is new: there is no key that it could ask for.
    let eaten = match client(&kitchen.base, None) {
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
    let failed = |error: &Error| said(failure(error, client.base_url()));
    let input = json!({"dish": dish, "seconds": SECONDS_OF_COOKING});
    terminal.line(format_args!("POST {}/v1/kinds/takeaway/jobs  {input}", client.base_url()));
    let order = NewJob::bytes("takeaway", "application/json", input.to_string());
    let order = client.submit(order).await.map_err(|error| failed(&error))?;
    let id = order.id();
    terminal.heading(format_args!("Order {id} is taken. You could go home now, and ask with this number."));
    terminal.line(format_args!("  GET {}/v1/jobs/{id}", client.base_url()));
    let mut shown = String::new();
    let mut snapshots = order.stream(PATIENCE);
    let followed = loop {
        match snapshots.next().await {
            Some(Ok(job)) => show(job.raw(), &mut shown, terminal),
            Some(Err(error)) => break Err(error),
            None => break Ok(()),
        }
    };
    terminal.progress_done();
    followed.map_err(|error| match error.kind() {
        ErrorKind::Timeout { .. } => Failure::new(format!(
            "order {id} is not done after {} s: is there a worker? `raincheck doctor` looks",
            PATIENCE.as_secs()
        )),
        _ => failed(&error),
    })?;
    let meal: Value = match order.result(None).await {
        Ok(meal) => meal.json().map_err(|error| Failure::because("the meal is none", error))?,
        Err(error) => {
            let ErrorKind::JobFailed(job) = error.kind() else { return Err(failed(&error)) };
            let why = job.error().and_then(|error| error.message).unwrap_or("no reason was given");
            return Err(Failure::new(format!("the order ended as {}: {why}", job.status())));
        }
    };
    match meal["meal"].as_str() {
        Some(meal) => terminal.heading(format_args!("{meal}. Enjoy!")),
        None => terminal.heading(meal),
    }
    Ok(())
}

/// A demo knows one way to fail.
fn said(failure: Failure) -> Failure {
    match failure {
        Failure::Asked { what, .. } => Failure::new(what),
        other => other,
    }
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
