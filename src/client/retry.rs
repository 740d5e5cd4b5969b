//! `raincheck retry`: a job that did not succeed once more, as a new job.

use raincheck_shared::lifecycle::IdSource;

use super::arguments::RetryArgs;
use super::patience::{Ask, Caller};
use super::submit::{accepted, quoted, stay};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &RetryArgs, caller: &Caller<'_>, terminal: &Terminal) -> Result<(), Failure> {
    let key = arguments.idempotency_key.clone().unwrap_or_else(|| IdSource.random().to_string());
    let quoted = quoted(&key);
    let path = format!("/v1/jobs/{}/retry", arguments.id);
    let ask = Ask::post(path, "application/json", "{}").header("idempotency-key", &quoted);
    let answer = accepted(&ask, &key, caller).await?;
    stay(&answer, &arguments.afterwards, arguments.reach.json, caller, terminal).await
}
