//! `raincheck health`: asks a running instance whether it is ready, for health checks of containers without `curl`.

use std::time::Duration;

use raincheck_shared::config::Settings;

use crate::cli::HealthArgs;
use crate::client::{Client, base_url};
use crate::failure::Failure;
use crate::terminal::Terminal;

const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn run(arguments: &HealthArgs, settings: &Settings, terminal: &Terminal) -> Result<(), Failure> {
    let base = arguments.url.clone().unwrap_or_else(|| base_url(settings.http.listen));
    let client = Client::new(&base)?;
    let answer = client
        .get("/readyz", &[], PATIENCE)
        .await
        .map_err(|error| Failure::because(format!("{base} does not answer"), error))?;
    if answer.status == 200 {
        terminal.line(format_args!("{base} is ready"));
        Ok(())
    } else {
        Err(Failure::new(format!("{base} is not ready: {}", answer.problem())))
    }
}
