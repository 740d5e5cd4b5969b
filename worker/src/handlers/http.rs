//! POSTs the input to an upstream that the operator configured; its answer is the output.
//!
//! The upstream sees the same `Idempotency-Key`, the job's id, in every attempt, so it can tell a repetition.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use raincheck_shared::config::Secret;
use raincheck_shared::domain::{Failure, FailureCode, Payload, Timestamp};
use raincheck_shared::lifecycle::Clock;
use raincheck_shared::telemetry::Chain;
use raincheck_shared::tls;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Body, Client, Response, StatusCode, Url};
use time::format_description::well_known::Rfc2822;
use tokio::time::timeout;

use crate::{Context, Handler, HandlerError, LargeInput, Outcome};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// No upstream's Retry-After holds a job up for longer.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// How long an upstream may take to say more about its error.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// What is wrong with a configured upstream.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUpstream {
    /// Not a URL that can be called.
    #[error("its URL must start with http:// and name a host")]
    Url,
    /// Without TLS, no https.
    #[error("https is not built in: let a proxy beside the worker speak TLS, and call that by http://")]
    Https,
    /// Not a header's name.
    #[error("{0:?} is not the name of a header")]
    HeaderName(String),
    /// Not a header's value; which it is stays hidden.
    #[error("the value of header {0:?} holds characters that no header may hold")]
    HeaderValue(String),
    /// No client can be made.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// POSTs the input to an upstream.
#[derive(Clone)]
pub struct Http {
    client: Client,
    url: Url,
    headers: HeaderMap,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// A handler for one upstream. It follows no redirects and uses no proxy, whatever the environment says.
    pub fn new(url: &str, headers: &BTreeMap<String, Secret>, clock: Arc<dyn Clock>) -> Result<Self, InvalidUpstream> {
        let url = Url::parse(url).map_err(|_| InvalidUpstream::Url)?;
        match url.scheme() {
            "http" if url.has_host() => {}
            "https" => return Err(InvalidUpstream::Https),
            _ => return Err(InvalidUpstream::Url),
        }
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            let header = name.parse::<HeaderName>().map_err(|_| InvalidUpstream::HeaderName(name.clone()))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| InvalidUpstream::HeaderValue(header.as_str().to_owned()))?;
            value.set_sensitive(true);
            sent.insert(header, value);
        }
        tls::install();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("raincheck/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(InvalidUpstream::Client)?;
        Ok(Self { client, url, headers: sent, clock })
    }

    async fn call(&self, content_type: &str, size: u64, body: Body, context: &Context) -> Outcome {
        let Ok(content_type) = HeaderValue::from_str(content_type) else {
            return HandlerError::new("the input's content type cannot be sent as a header").fail();
        };
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, content_type);
        // Known also of one that is not in memory: an upstream need not take it in chunks.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
        let id = context.job_id().to_string();
        let own = [
            ("idempotency-key", Some(id.as_str())),
            ("raincheck-job-id", Some(id.as_str())),
            ("raincheck-tenant", Some(context.tenant().as_str())),
            ("raincheck-attempt", Some(&*context.attempt().to_string())),
            ("traceparent", context.traceparent()),
        ];
        for (name, value) in own {
            if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let request = self.client.post(self.url.clone()).headers(headers).timeout(context.timeout()).body(body).send();
        match request.await {
            Ok(response) if response.status().is_success() => accept(response, context).await,
            Ok(response) => self.refuse(response).await,
            Err(error) => broken(error),
        }
    }

    /// Makes of an answer that is no success what it says of another attempt.
    async fn refuse(&self, mut response: Response) -> Outcome {
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, self.clock.now()));
        let mut said = Vec::new();
        let _ = timeout(ERROR_BODY_TIMEOUT, first_bytes(&mut response, &mut said)).await;
        let hint = if status.is_redirection() { " (redirects are not followed)" } else { "" };
        let error = HandlerError::new(format!("upstream answered {}{hint}", status.as_u16()))
            .with_code(FailureCode::UpstreamStatus)
            .with_detail(said);
        let again = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        if again { Outcome::Retry { error, after } } else { error.fail() }
    }
}

#[async_trait]
impl Handler for Http {
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        let Payload { content_type, bytes } = input;
        tokio::select! {
            outcome = self.call(&content_type, bytes.len() as u64, bytes.into(), &context) => outcome,
            () = context.canceled() => Outcome::stopped(),
        }
    }

    async fn run_large(&self, input: LargeInput, context: Context) -> Outcome {
        let pieces = match input.pieces().await {
            Ok(pieces) => pieces,
            Err(outcome) => return outcome,
        };
        let body = Body::wrap_stream(pieces.map_err(|_| io::Error::other("the input cannot be read")));
        tokio::select! {
            outcome = self.call(input.content_type(), input.size(), body, &context) => outcome,
            () = context.canceled() => Outcome::stopped(),
        }
    }
}

async fn accept(mut response: Response, context: &Context) -> Outcome {
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

/// Reads as much of an error's body as is kept; the connection is given up with the rest.
async fn first_bytes(response: &mut Response, said: &mut Vec<u8>) {
    while let Ok(Some(chunk)) = response.chunk().await {
        said.extend_from_slice(&chunk[..chunk.len().min(Failure::DETAIL_LIMIT - said.len())]);
        if said.len() >= Failure::DETAIL_LIMIT {
            return;
        }
    }
}

/// What is worth another attempt because nothing is known of the request. The URL is left out: it may hold a password.
fn broken(error: reqwest::Error) -> Outcome {
    let error = error.without_url();
    if error.is_timeout() && !error.is_connect() {
        return HandlerError::new("upstream did not answer in time").with_code(FailureCode::RunTimeout).retry();
    }
    let what = if error.is_connect() { "upstream could not be reached" } else { "upstream broke off" };
    HandlerError::new(format!("{what}: {}", Chain(&error))).retry()
}

/// A Retry-After header in either of its forms. Nothing, or a time that has passed, leaves the delay to the backoff.
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(Timestamp::parse(text, &Rfc2822).ok()? - now).ok()?,
    };
    (!wait.is_zero()).then_some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
