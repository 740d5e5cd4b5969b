//! A worker of your own: one program with a handler written in Rust.
//!
//! The kind is configured like any other, in the file that the API reads too:
//!
//! ```toml
//! [kinds.statistics]
//! handler = true                # run by a program such as this one
//! queue = "rust"                # a queue of its own, so that other workers leave its jobs alone
//! content_types = ["text/*"]
//! ```
//!
//! Then start it beside `raincheck api`, with Postgres and RabbitMQ, and hand it a text:
//!
//! ```sh
//! RAINCHECK__WORKER__QUEUES=rust cargo run --example rust_worker
//! curl --data-binary @README.md -H 'Content-Type: text/markdown' localhost:8080/v1/kinds/statistics/jobs
//! ```
//!
//! Other workers of the same settings need `RAINCHECK__WORKER__QUEUES` too, without `rust`.

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use raincheck_shared::backends::{open_blobs, open_broker, open_store};
use raincheck_shared::config::{Flags, load};
use raincheck_shared::domain::Payload;
use raincheck_shared::lifecycle::{Shutdown, SystemClock, signals};
use raincheck_worker::registry::CustomHandlers;
use raincheck_worker::{Context, Handler, HandlerError, Outcome, Parts, Registry, Worker, supervisor};

/// Lines that are counted before others get a turn: a handler that never awaits can be neither canceled nor timed out.
const TURN: usize = 10_000;

/// Counts the lines, words and different words of a text, and says which word is most frequent.
struct Statistics;

#[async_trait]
impl Handler for Statistics {
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        let text = match std::str::from_utf8(&input.bytes) {
            Ok(text) => text,
            // The same bytes fail again, so another attempt is of no use.
            Err(error) => return HandlerError::new(format!("the text is not UTF-8: {error}")).fail(),
        };
        let lines: Vec<&str> = text.lines().collect();
        let mut words: HashMap<String, u64> = HashMap::new();
        for (turn, some) in lines.chunks(TURN).enumerate() {
            for word in some.iter().flat_map(|line| line.split(|c: char| !c.is_alphanumeric())) {
                if !word.is_empty() {
                    *words.entry(word.to_lowercase()).or_default() += 1;
                }
            }
            let done = (turn * TURN + some.len()) * 100 / lines.len();
            context
                .report(u32::try_from(done).unwrap_or(100).into(), format!("{} different words so far", words.len()));
            tokio::task::yield_now().await;
            if context.is_canceled() {
                return Outcome::stopped();
            }
        }
        let most_frequent = words.iter().max_by_key(|(word, count)| (**count, std::cmp::Reverse(*word)));
        let statistics = serde_json::json!({
            "lines": lines.len(),
            "words": words.values().sum::<u64>(),
            "different_words": words.len(),
            "most_frequent": most_frequent.map(|(word, _)| word),
        });
        Outcome::Complete(Payload::json(statistics.to_string()))
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // For kinds with a `command`, should this worker run such too: see `raincheck_worker::supervisor`.
    if let Some(code) = supervisor::enter() {
        return Ok(code);
    }
    work()?;
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn work() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let settings = Arc::new(load(&Flags::default(), &std::env::vars().collect())?);
    let custom: CustomHandlers = [("statistics".parse()?, Arc::new(Statistics) as Arc<dyn Handler>)].into();
    let registry = Registry::from_kinds(&settings, &custom)?;

    let clock = SystemClock::shared();
    let shutdown = Shutdown::new();
    let store = open_store(&settings.store, Arc::clone(&clock)).await?;
    let blobs = open_blobs(&settings.blobs, &shutdown)?;
    let broker = open_broker(&settings.broker, "worker", &shutdown);
    shutdown.spawn_service(stop_on_signals(shutdown.clone()));
    let drain_timeout = settings.worker.drain_timeout;
    Worker::start(Parts { settings, store, blobs, broker, registry, clock }, &shutdown).await?;

    // Until SIGTERM or ^C. What still runs after the drain time is given back, and runs elsewhere.
    shutdown.begun().await;
    shutdown.finish(drain_timeout + std::time::Duration::from_secs(5)).await;
    Ok(())
}

async fn stop_on_signals(shutdown: Shutdown) {
    if let Err(error) = signals(shutdown).await {
        tracing::error!(%error, "cannot listen for signals");
    }
}
