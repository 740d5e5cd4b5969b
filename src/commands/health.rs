//! `raincheck health`: asks a running instance whether it is ready, for health checks of containers without `curl`.

use std::time::Duration;

use raincheck_client::Request;
use raincheck_shared::config::Settings;
use serde_json::Value;

use crate::cli::HealthArgs;
use crate::client::{base_url, connect, failure};
use crate::failure::Failure;
use crate::terminal::Terminal;

const PATIENCE: Duration = Duration::from_secs(4);
/// The most that is read of an answer, in bytes.
const LARGEST: usize = 1 << 20;

pub(super) async fn run(arguments: &HealthArgs, settings: &Settings, terminal: &Terminal) -> Result<(), Failure> {
    let base = arguments.url.clone().unwrap_or_else(|| base_url(settings.http.listen));
    let client = connect(&base, None, None)?.build().map_err(|error| failure(&error, &base))?;
    let asked = async { client.open(&Request::get("/readyz"), PATIENCE).await?.whole(LARGEST, PATIENCE).await };
    let answer = asked.await.map_err(|error| match failure(&error, &base) {
        Failure::Asked { what, .. } => Failure::new(what),
        other => other,
    })?;
    if answer.status == 200 {
        terminal.line(format_args!("{base} is ready"));
        return Ok(());
    }
    let problem: Value = answer.json().unwrap_or_default();
    let why = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no details");
    Err(Failure::new(format!("{base} is not ready: {}: {why}", answer.status)))
}
