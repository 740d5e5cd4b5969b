//! `raincheck retry`: a job that did not succeed once more, as a new job.

use raincheck_client::Request;
use raincheck_shared::lifecycle::IdSource;

use super::arguments::RetryArgs;
use super::caller::Caller;
use super::submit::{accepted, stay};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) async fn run(arguments: &RetryArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    let key = arguments.idempotency_key.clone().unwrap_or_else(|| IdSource.random().to_string());
    let path = format!("/v1/jobs/{}/retry", arguments.id);
    let request = Request::post(path, "application/json", "{}").header("idempotency-key", format!("\"{key}\""));
    let answer = accepted(caller.ask(&request).await, &key)?;
    stay(&answer.json, &arguments.afterwards, arguments.reach.json, caller, terminal).await
}
