//! What the process logs, and how: to stderr, as text or as one JSON object a line.

use raincheck_shared::config::{LogFormat, LogSettings};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
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

/// Reads `info,raincheck_worker=debug`, which the configuration has looked at.
fn filter(text: &str) -> Result<Targets, Failure> {
    let refused = |error| Failure::setting("log.filter", format!("{text:?} cannot be used: {error}"));
    text.parse().map(quietened(text)).map_err(|error: ParseError| refused(error))
}

/// What libraries say at these levels raincheck says itself, in its own words. Who names them, or wants to see
/// everything, hears them.
const TALKATIVE: [(&str, LevelFilter); 4] = [
    ("actix_server", LevelFilter::WARN),
    ("lapin", LevelFilter::OFF),
    // Slow statements, each with its whole text: what a slow store means is said by whoever waits for it.
    ("sqlx::query", LevelFilter::OFF),
    ("sqlx::postgres::notice", LevelFilter::WARN),
];

/// The library that a target is in.
fn part_of(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}

fn quietened(text: &str) -> impl Fn(Targets) -> Targets {
    move |filter| {
        let everything = filter.default_level().is_some_and(|level| level > LevelFilter::INFO);
        TALKATIVE.into_iter().filter(|(library, _)| !everything && !text.contains(part_of(library))).fold(
            filter,
            |filter, (library, level)| {
                let level = filter.default_level().map_or(LevelFilter::OFF, |default| default.min(level));
                filter.with_target(library, level)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_and_levels_by_target() {
        for good in ["info", "off", "info,raincheck_worker=debug", "warn, raincheck_api::http=trace", "INFO"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        let enabled = |text: &str, target: &str| filter(text).unwrap().would_enable(target, &tracing::Level::INFO);
        assert!(enabled("info", "raincheck_worker") && !enabled("info", "actix_server::builder"));
        assert!(!enabled("warn", "raincheck_worker") && enabled("debug", "actix_server"));
        assert!(enabled("info,actix_server=info", "actix_server::builder"));
        let warns = |text: &str, target: &str| filter(text).unwrap().would_enable(target, &tracing::Level::WARN);
        assert!(!warns("info", "sqlx::query") && warns("info", "sqlx::postgres::notice"));
        assert!(!enabled("info", "sqlx::postgres::notice") && enabled("info", "sqlx::pool"));
        assert!(warns("info,sqlx=warn", "sqlx::query") && warns("debug", "sqlx::query"));
    }
}
