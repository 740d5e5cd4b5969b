//! POSTs the input to an upstream that the operator configured; its answer is the output, or says where that will be.
//!
//! The upstream sees the same `Idempotency-Key`, the job's id, in every attempt, so it can tell a repetition. One that
//! answers 202 with a `Location` is asked there until it is done: `http/pending.rs`.

mod answer;
mod pending;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use raincheck_shared::config::{StatusRules, Upstream};
use raincheck_shared::domain::Payload;
use raincheck_shared::lifecycle::Clock;
use raincheck_shared::tls;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Client, StatusCode, Url};
use time::format_description::well_known::Rfc3339;

use self::answer::broken;
use crate::{Context, Handler, HandlerError, LargeInput, Outcome};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    statuses: StatusRules,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// A handler for one upstream. It uses no proxy, whatever the environment says, and goes nowhere but to that upstream.
    pub fn new(upstream: &Upstream, clock: Arc<dyn Clock>) -> Result<Self, InvalidUpstream> {
        let url = Url::parse(&upstream.url).map_err(|_| InvalidUpstream::Url)?;
        match url.scheme() {
            "http" if url.has_host() => {}
            "https" => return Err(InvalidUpstream::Https),
            _ => return Err(InvalidUpstream::Url),
        }
        let mut sent = HeaderMap::new();
        for (name, value) in &upstream.headers {
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
        Ok(Self { client, url, headers: sent, statuses: upstream.statuses.clone(), clock })
    }

    async fn call(&self, content_type: &str, size: u64, body: Body, context: &Context) -> Outcome {
        let Ok(content_type) = HeaderValue::from_str(content_type) else {
            return HandlerError::new("the input's content type cannot be sent as a header").fail();
        };
        let mut headers = self.headers_for(context);
        headers.insert(CONTENT_TYPE, content_type);
        // Known also of one that is not in memory: an upstream need not take it in chunks.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
        let request = self.client.post(self.url.clone()).headers(headers).timeout(context.timeout()).body(body).send();
        let response = match request.await {
            Ok(response) => response,
            Err(error) => return broken(error),
        };
        match (response.status(), self.location(&self.url, &response)) {
            (StatusCode::ACCEPTED | StatusCode::SEE_OTHER, Some(location)) => {
                self.follow(response, location, context).await
            }
            _ => self.judge(response, context).await,
        }
    }

    /// What is configured, and what the upstream is told of the attempt.
    fn headers_for(&self, context: &Context) -> HeaderMap {
        let mut headers = self.headers.clone();
        let id = context.job_id().to_string();
        let deadline = context.deadline().format(&Rfc3339).ok();
        let own = [
            ("idempotency-key", Some(id.as_str())),
            ("raincheck-job-id", Some(id.as_str())),
            ("raincheck-tenant", Some(context.tenant().as_str())),
            ("raincheck-kind", Some(context.kind().as_str())),
            ("raincheck-attempt", Some(&*context.attempt().to_string())),
            ("raincheck-fence", Some(&*context.fence().to_string())),
            ("raincheck-deadline", deadline.as_deref()),
            ("traceparent", context.traceparent()),
        ];
        for (name, value) in own {
            if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
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

#[cfg(test)]
mod tests;
