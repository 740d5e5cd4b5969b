//! What an upstream's answer comes to: by its status, its Retry-After and its body.

use std::time::Duration;

use raincheck_shared::config::Verdict;
use raincheck_shared::domain::{Failure, FailureCode, Timestamp};
use raincheck_shared::telemetry::Chain;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use time::format_description::well_known::Rfc2822;
use tokio::time::timeout;

use super::super::spoken::LONGEST_DELAY;
use super::Http;
use crate::{Context, HandlerError, Outcome};

/// No upstream's Retry-After holds a job up for longer: no more than a program may have itself put off.
pub(super) const MAX_RETRY_AFTER: Duration = LONGEST_DELAY;
/// How long an upstream may take to say more about its error.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// When a job comes back that an upstream wants to see later, and does not say when.
const SNOOZE: Duration = Duration::from_secs(10);

impl Http {
    /// Makes of an answer what its status means.
    pub(super) async fn judge(&self, response: Response, context: &Context) -> Outcome {
        let after = self.retry_after(&response);
        match self.statuses.verdict(response.status().as_u16()) {
            Verdict::Complete => accept(response, context).await,
            Verdict::Retry => Outcome::Retry { error: refused(response).await, after },
            Verdict::Fail => refused(response).await.fail(),
            Verdict::Snooze => {
                context.log(refused(response).await.message);
                Outcome::Snooze(after.unwrap_or(SNOOZE))
            }
        }
    }

    pub(super) fn retry_after(&self, response: &Response) -> Option<Duration> {
        response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, self.clock.now()))
    }
}

/// Makes the answer's body the output.
pub(super) async fn accept(mut response: Response, context: &Context) -> Outcome {
    let limit = context.max_output();
    if response.content_length().is_some_and(|size| size > limit) {
        return HandlerError::output_too_large(limit).fail();
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
    let mut output = context.output(content_type);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if let Err(outcome) = output.write(&chunk).await {
                    return outcome;
                }
            }
            Ok(None) => return output.finish().await,
            Err(error) => return broken(error),
        }
    }
}

/// What an answer says that is no success.
pub(super) async fn refused(mut response: Response) -> HandlerError {
    let status = response.status();
    let mut said = Vec::new();
    let _ = timeout(ERROR_BODY_TIMEOUT, first_bytes(&mut response, Failure::DETAIL_LIMIT, &mut said)).await;
    let hint = if status.is_redirection() { " (redirects are not followed)" } else { "" };
    HandlerError::new(format!("upstream answered {}{hint}", status.as_u16()))
        .with_code(FailureCode::UpstreamStatus)
        .with_detail(said)
}

/// Reads so much of a body; the connection is given up with the rest.
pub(super) async fn first_bytes(response: &mut Response, most: usize, said: &mut Vec<u8>) {
    while let Ok(Some(chunk)) = response.chunk().await {
        said.extend_from_slice(&chunk[..chunk.len().min(most - said.len())]);
        if said.len() >= most {
            return;
        }
    }
}

/// What is worth another attempt because nothing is known of the request. The URL is left out: it may hold a password.
pub(super) fn broken(error: reqwest::Error) -> Outcome {
    let error = error.without_url();
    if error.is_timeout() && !error.is_connect() {
        return HandlerError::new("upstream did not answer in time").with_code(FailureCode::RunTimeout).retry();
    }
    let what = if error.is_connect() { "upstream could not be reached" } else { "upstream broke off" };
    HandlerError::new(format!("{what}: {}", Chain(&error))).retry()
}

/// A Retry-After header in either of its forms. Nothing, or a time that has passed, leaves the delay to the backoff.
pub(super) fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(Timestamp::parse(text, &Rfc2822).ok()? - now).ok()?,
    };
    (!wait.is_zero()).then_some(wait.min(MAX_RETRY_AFTER))
}
