//! An upstream that is itself asynchronous: it answered 202 and a `Location`, and is asked there until it is done.
//!
//! | answer there | means |
//! |---|---|
//! | 202, or another 2xx with `Retry-After` | not yet; a new `Location` is where to ask from now on |
//! | JSON with `"done": false` | not yet |
//! | JSON with `"done": true` and an `error`, or a `status` of failed, canceled, cancelled or expired | it failed |
//! | another 2xx | its body is the output |
//! | 303 and a `Location` | what is there is the output |
//! | 404, 410 | the upstream has forgotten it: the next attempt sends the input again |
//! | what would be retried, no answer at all | asked again |
//! | anything else | it failed |
//!
//! Once nobody wants the output any more, `delete_on_cancel` has the upstream told so, with DELETE.
//!
//! The attempt waits all the while, under its timeout and its worker's lease. If the worker dies, the next attempt sends
//! the input again, with the same `Idempotency-Key`.

use std::time::Duration;

use raincheck_shared::config::Verdict;
use raincheck_shared::domain::{FailureCode, Payload};
use reqwest::header::{HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::Http;
use super::answer::{accept, first_bytes, refused};
use crate::{Context, HandlerError, Outcome};

/// The first pause where the upstream names none; each is half as long again as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long an upstream may take to begin an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long telling an upstream that nobody waits may take: less than a handler has to stop after its timeout.
const LEAVE_TAKING: Duration = Duration::from_millis(1_500);
/// Bytes of JSON in which it is looked for what an upstream says of its progress, where they are no output.
const STATUS_LIMIT: usize = 64 * 1024;

/// Where to ask, and what that means.
#[derive(Debug, Clone)]
pub(super) enum Location {
    /// Here.
    At(Url),
    /// Not where the upstream is, or nowhere.
    Elsewhere(String),
}

/// What an upstream says of its work, in JSON of its own. Each field is read by itself: one that is odd hides no other.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    done: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    progress: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct SaidProgress<'a> {
    percent: f64,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// A field, if it is there and of that type.
fn read<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

/// What one look came to.
pub(super) enum Look {
    /// The attempt is over.
    Over(Outcome),
    /// Ask again, after the upstream's own pause or the next longer one.
    Again(Option<Duration>),
    /// Look there, at once: it is the output.
    There(Url),
}

impl Http {
    /// Where an answer points to.
    pub(super) fn location(&self, asked: &Url, response: &Response) -> Option<Location> {
        Some(self.place(asked, response.headers().get(LOCATION)?.to_str().ok()?))
    }

    /// The place that a `Location` names. Only the upstream itself is asked: the headers for it are nobody else's.
    pub(super) fn place(&self, asked: &Url, text: &str) -> Location {
        let Ok(mut url) = asked.join(text) else { return Location::Elsewhere(text.to_owned()) };
        if url.origin() != self.url.origin() {
            return Location::Elsewhere(url.origin().ascii_serialization());
        }
        if url.username().is_empty() && url.password().is_none() {
            // What is left out of an absolute Location: neither can fail on a URL with a host.
            let _ = url.set_username(self.url.username());
            let _ = url.set_password(self.url.password());
        }
        Location::At(url)
    }

    /// Asks until the upstream is done, or the attempt is to stop.
    pub(super) async fn follow(&self, accepted: Response, location: Location, context: &Context) -> Outcome {
        let mut url = match location {
            Location::At(url) => url,
            Location::Elsewhere(place) => return led_away(&place),
        };
        tokio::select! {
            outcome = self.ask(accepted, &mut url, context) => return outcome,
            () = context.canceled() => {}
        }
        if self.delete_on_cancel && context.is_unwanted() {
            self.take_leave(url, context).await;
        }
        Outcome::stopped()
    }

    /// Tells the upstream that nobody waits any more. What it makes of that is its own affair.
    async fn take_leave(&self, url: Url, context: &Context) {
        let request = self.client.delete(url).headers(self.headers_for(context)).timeout(LEAVE_TAKING).send();
        context.log(match request.await {
            Ok(response) => format!("told the upstream that nobody waits any more: {}", response.status().as_u16()),
            Err(_) => "the upstream could not be told that nobody waits any more".to_owned(),
        });
    }

    async fn ask(&self, accepted: Response, url: &mut Url, context: &Context) -> Outcome {
        let is_result = accepted.status() == StatusCode::SEE_OTHER;
        let mut wait = if is_result { None } else { Some(self.retry_after(&accepted)) };
        note(accepted, context).await;
        let mut is_result = is_result;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(asked) = wait.take() {
                context.sleep(asked.unwrap_or(pause)).await;
                pause = pause.mul_f64(1.5).min(LONGEST_PAUSE);
            }
            match self.look(url, is_result, context).await {
                Look::Over(outcome) => return outcome,
                Look::Again(after) => wait = Some(after),
                Look::There(there) => {
                    // Twice would be a circle.
                    if is_result {
                        wait = Some(None);
                    }
                    (*url, is_result) = (there, true);
                }
            }
        }
    }

    async fn look(&self, url: &mut Url, is_result: bool, context: &Context) -> Look {
        let mut headers = self.headers_for(context);
        // What another raincheck sends to its result for; others pay no heed.
        headers.insert("prefer", HeaderValue::from_static("redirect"));
        let request = self.client.get(url.clone()).headers(headers).timeout(context.timeout()).send();
        let Ok(Ok(response)) = timeout(PATIENCE, request).await else { return Look::Again(None) };
        let (status, after) = (response.status(), self.retry_after(&response));
        let location = self.location(url, &response);
        if let Some(Location::Elsewhere(place)) = &location
            && (status == StatusCode::SEE_OTHER || status == StatusCode::ACCEPTED)
        {
            return Look::Over(led_away(place));
        }
        match (status, location) {
            (StatusCode::SEE_OTHER, Some(Location::At(there))) => return Look::There(there),
            (StatusCode::ACCEPTED, location) => {
                if let Some(Location::At(there)) = location {
                    *url = there;
                }
                note(response, context).await;
                return Look::Again(after);
            }
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => return Look::Over(refused(response).await.retry()),
            _ => {}
        }
        match self.statuses.verdict(status.as_u16()) {
            Verdict::Complete if !is_result && response.headers().contains_key(RETRY_AFTER) => {
                note(response, context).await;
                Look::Again(after)
            }
            Verdict::Complete => {
                let outcome = accept(response, context).await;
                if is_result { Look::Over(outcome) } else { understood(outcome, context) }
            }
            Verdict::Retry | Verdict::Snooze => Look::Again(after),
            Verdict::Fail => Look::Over(refused(response).await.fail()),
        }
    }
}

fn led_away(place: &str) -> Outcome {
    HandlerError::new(format!("upstream led to {place:?}, which is not where the upstream is"))
        .with_code(FailureCode::UpstreamStatus)
        .fail()
}

/// An answer that may be the output, or say that there is none yet.
pub(super) fn understood(outcome: Outcome, context: &Context) -> Look {
    let said = match &outcome {
        Outcome::Complete(payload) => said(payload),
        // What broke off on its way can be fetched again.
        Outcome::Retry { .. } => return Look::Again(None),
        _ => None,
    };
    let Some(said) = said else { return Look::Over(outcome) };
    report(&said, context);
    let failed =
        |status: &str| matches!(status.to_ascii_lowercase().as_str(), "failed" | "canceled" | "cancelled" | "expired");
    let (status, error) = (read::<String>(said.status), said.error.filter(|error| error.get() != "null"));
    match read(said.done) {
        Some(false) => Look::Again(None),
        Some(true) if error.is_some() || status.as_deref().is_some_and(failed) => {
            let how = status.as_deref().unwrap_or("failed").chars().take(100).collect::<String>();
            let detail = error.map(RawValue::get).unwrap_or_default().to_owned();
            let error = HandlerError::new(format!("upstream accepted it, and later it was {how:?} there"));
            Look::Over(error.with_code(FailureCode::UpstreamStatus).with_detail(detail).fail())
        }
        _ => Look::Over(outcome),
    }
}

fn said(payload: &Payload) -> Option<Said<'_>> {
    Payload::is_json_type(&payload.content_type).then(|| serde_json::from_slice(&payload.bytes).ok()).flatten()
}

/// Passes on what an answer says of progress that is not the end.
async fn note(mut response: Response, context: &Context) {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, first_bytes(&mut response, STATUS_LIMIT, &mut bytes)).await;
    if let Ok(said) = serde_json::from_slice(&bytes) {
        report(&said, context);
    }
}

fn report(said: &Said<'_>, context: &Context) {
    if let Some(SaidProgress { percent, message }) = read(said.progress) {
        context.report(percent, read::<String>(message).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
