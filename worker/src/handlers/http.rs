//! POSTs the input to an upstream that the operator configured; its answer is the output, or says where that will be.
//!
//! The upstream sees the same `Idempotency-Key`, the job's id, in every attempt, so it can tell a repetition. One that
//! answers 202 with a `Location` is asked there until it is done: `http/pending.rs`. With `completion = "callback"` it gets a URL by
//! which it ends the attempt itself, and one that answers 202 without a `Location` does so.

mod answer;
#[cfg(feature = "laws")]
pub(super) mod laws;
mod pending;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use raincheck_shared::config::{StatusRules, Upstream};
use raincheck_shared::domain::Payload;
use raincheck_shared::lifecycle::Clock;
use raincheck_shared::tls::{self, TlsError};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use reqwest::{Body, Client, Response, StatusCode, Url};
use time::format_description::well_known::Rfc3339;

use self::answer::broken;
use self::pending::Location;
use crate::{Context, Handler, HandlerError, LargeInput, Outcome};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is wrong with a configured upstream.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUpstream {
    /// Not a URL that can be called.
    #[error("its URL must start with http:// or https:// and name a host")]
    Url,
    /// No TLS can be spoken.
    #[error("`ca_file` cannot be used")]
    Tls(#[from] TlsError),
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

/// What the first answer came to.
enum Said {
    /// This, and that is all.
    All(Outcome),
    /// That more can be learned there.
    Later(Response, Location),
}

/// POSTs the input to an upstream.
#[derive(Clone)]
pub struct Http {
    client: Client,
    url: Url,
    headers: HeaderMap,
    statuses: StatusRules,
    completions: Option<Arc<str>>,
    delete_on_cancel: bool,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// A handler for one upstream. It uses no proxy, whatever the environment says, and goes nowhere but to that upstream.
    pub fn new(upstream: &Upstream, clock: Arc<dyn Clock>) -> Result<Self, InvalidUpstream> {
        let url = Url::parse(&upstream.url).map_err(|_| InvalidUpstream::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(InvalidUpstream::Url);
        }
        let mut sent = HeaderMap::new();
        for (name, value) in &upstream.headers {
            let header = name.parse::<HeaderName>().map_err(|_| InvalidUpstream::HeaderName(name.clone()))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| InvalidUpstream::HeaderValue(header.as_str().to_owned()))?;
            value.set_sensitive(true);
            sent.insert(header, value);
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client_config(upstream.ca_file.as_deref())?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("raincheck/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(InvalidUpstream::Client)?;
        Ok(Self {
            client,
            url,
            headers: sent,
            statuses: upstream.statuses.clone(),
            completions: upstream.completions.as_deref().map(Arc::from),
            delete_on_cancel: upstream.delete_on_cancel,
            clock,
        })
    }

    async fn call(&self, content_type: &str, size: u64, body: Body, context: &Context) -> Outcome {
        let said = tokio::select! {
            said = self.send(content_type, size, body, context) => said,
            () = context.canceled() => return Outcome::stopped(),
        };
        match said {
            Said::All(outcome) => outcome,
            Said::Later(response, location) => self.follow(response, location, context).await,
        }
    }

    /// Sends the input, and reads what comes at once.
    async fn send(&self, content_type: &str, size: u64, body: Body, context: &Context) -> Said {
        let Ok(content_type) = HeaderValue::from_str(content_type) else {
            let why = "the input's content type cannot be sent as a header";
            return Said::All(HandlerError::new(why).fail());
        };
        let mut headers = self.headers_for(context);
        if let Some(Ok(mut url)) = self.completions.as_ref().map(|base| completion_url(base, context)) {
            url.set_sensitive(true);
            headers.insert(HeaderName::from_static("raincheck-completion-url"), url);
        }
        headers.insert(CONTENT_TYPE, content_type);
        // Known also of one that is not in memory: an upstream need not take it in chunks.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
        let request = self.client.post(self.url.clone()).headers(headers).timeout(context.timeout()).body(body).send();
        let response = match request.await {
            Ok(response) => response,
            Err(error) => return Said::All(broken(error)),
        };
        match (response.status(), self.location(&self.url, &response)) {
            (StatusCode::ACCEPTED | StatusCode::SEE_OTHER, Some(location)) => Said::Later(response, location),
            (StatusCode::ACCEPTED, None) if self.completions.is_some() => Said::All(Outcome::HandedOver),
            _ => Said::All(self.judge(response, context).await),
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

/// Where the upstream ends this attempt.
fn completion_url(base: &str, context: &Context) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_str(&format!("{base}{}", context.lease()))
}

#[async_trait]
impl Handler for Http {
    async fn run(&self, input: Payload, context: Context) -> Outcome {
        let Payload { content_type, bytes } = input;
        self.call(&content_type, bytes.len() as u64, bytes.into(), &context).await
    }

    async fn run_large(&self, input: LargeInput, context: Context) -> Outcome {
        let pieces = match input.pieces().await {
            Ok(pieces) => pieces,
            Err(outcome) => return outcome,
        };
        let unread = Arc::new(OnceLock::new());
        let noted = Arc::clone(&unread);
        let body = Body::wrap_stream(pieces.map_err(move |outcome| {
            let _ = noted.set(outcome);
            io::Error::other("the input cannot be read")
        }));
        let outcome = self.call(input.content_type(), input.size(), body, &context).await;
        match (outcome, unread.get()) {
            // A request that was broken off on this side says nothing of the upstream.
            (Outcome::Retry { .. }, Some(unread)) => unread.clone(),
            (outcome, _) => outcome,
        }
    }
}

#[cfg(test)]
mod tests;
