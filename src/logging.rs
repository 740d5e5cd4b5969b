//! What the process logs, and how: to stderr, as text or as one JSON object a line.

use raincheck_shared::config::{LogFormat, LogSettings};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// Starts logging. Once for each process.
pub(crate) fn start(settings: &LogSettings, terminal: &Terminal) -> Result<(), Failure> {
    let filter = filter(&settings.filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match settings.format {
        LogFormat::Text => registry.with(lines.with_ansi(terminal.colours_logs())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| Failure::because("logging could not be started", error))
}

/// Reads `info,raincheck_worker=debug`.
pub(crate) fn filter(text: &str) -> Result<Targets, Failure> {
    text.parse().map_err(|_| {
        let allowed = "a level (off, error, warn, info, debug, trace), or levels by target: \
                       \"info,raincheck_worker=debug\"";
        Failure::setting("log.filter", format!("{text:?} is not {allowed}"))
    })
}
