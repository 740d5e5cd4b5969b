//! Where raincheck is, and how jobs get there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Error;
use crate::fault::Fault;
use crate::handle::{JobHandle, read_job};
use crate::new_job::NewJob;
use crate::request::{Answer, OpenAnswer, Request, encode};
use crate::retry::Backoff;
use crate::transport::{Size, Transport};

/// A raincheck server. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    transport: Transport,
    settings: Settings,
    on_trouble: Option<Box<OnTrouble>>,
}

type OnTrouble = dyn Fn(&Trouble<'_>) + Send + Sync;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) retry_budget: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) stream_patience: Duration,
    pub(crate) long_poll: Duration,
}

/// A request that did not do it and is sent again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trouble<'a> {
    /// Why.
    pub error: &'a Error,
    /// Which try it was; the first is 1.
    pub tries: u32,
    /// Until the next one.
    pub pause: Duration,
}

/// A client in the making.
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    api_key: Option<String>,
    user_agent: String,
    authorities: Vec<Vec<u8>>,
    settings: Settings,
    on_trouble: Option<Box<OnTrouble>>,
}

impl ClientBuilder {
    /// A key, sent as Bearer to the base URL and nowhere else.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// How long one request is sent again and again before its error is given out. 60 s.
    pub fn retry_budget(mut self, budget: Duration) -> Self {
        self.settings.retry_budget = budget;
        self
    }

    /// The longest that a try may wait: for a connection, for a byte of what it sends to be taken, for the answer to begin,
    /// and for all of an answer about a job; of a result, for the next byte. 30 s. A body takes as long as it moves.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// How long an event stream may keep silent at its start until it is given up for long polls. 5 s.
    pub fn stream_patience(mut self, patience: Duration) -> Self {
        self.settings.stream_patience = patience;
        self
    }

    /// How long a long poll is held; proxies tend to cut idle connections after 60 s. 25 s.
    pub fn long_poll(mut self, held: Duration) -> Self {
        self.settings.long_poll = held;
        self
    }

    /// What the server's logs call this client.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// For `https`: trusts an authority besides those that browsers trust. `pem`: one certificate or several.
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Is told of each try that did not do it and has a next one; for logs.
    pub fn on_trouble(mut self, told: impl Fn(&Trouble<'_>) + Send + Sync + 'static) -> Self {
        self.on_trouble = Some(Box::new(told));
        self
    }

    /// Fails when the base URL, the key or a certificate is none. Asks nothing yet.
    pub fn build(self) -> Result<Client, Error> {
        let transport = Transport::new(&self.base_url, self.api_key.as_deref(), &self.user_agent, &self.authorities)?;
        Ok(Client(Arc::new(Inner { transport, settings: self.settings, on_trouble: self.on_trouble })))
    }
}

impl fmt::Debug for ClientBuilder {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientBuilder({}, {:?})", self.base_url, self.settings)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.transport, self.settings)
    }
}

impl Client {
    /// With the usual settings, and without a key. `base_url`: with or without a path and a slash at its end.
    pub fn new(base_url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(base_url).build()
    }

    /// To be set up as needed.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.into(),
            api_key: None,
            user_agent: concat!("raincheck-client-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            authorities: Vec::new(),
            settings: Settings {
                retry_budget: Duration::from_mins(1),
                request_timeout: Duration::from_secs(30),
                stream_patience: Duration::from_secs(5),
                long_poll: Duration::from_secs(25),
            },
            on_trouble: None,
        }
    }

    /// Where it talks to, without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.0.transport.base()
    }

    /// Submits a job, and returns once it is kept: sent again after any fault, it is accepted once.
    ///
    /// All errors carry the idempotency key, for [`Client::find_by_idempotency_key`].
    pub async fn submit(&self, job: NewJob) -> Result<JobHandle, Error> {
        if job.is_only_validated() {
            // Its answer has no job in it, and would be asked for again and again as one that was garbled on its way.
            let instead = "validate_only makes no job: send what NewJob::into_request gives by Client::call instead";
            return Err(Error::invalid(instead));
        }
        let (request, key) = job.into_request()?;
        let accepted = self.with_retries(&request, None, Size::Document, read_job).await;
        let job = accepted.map_err(|error| error.about_key(&key))?;
        Ok(JobHandle::new(self.clone(), job.id().to_owned(), Some(key), Some(job)))
    }

    /// A handle for a job whose id is known. Asks nothing.
    pub fn job(&self, id: impl Into<String>) -> JobHandle {
        JobHandle::new(self.clone(), id.into(), None, None)
    }

    /// The job that was accepted under a key, if there is one. For who does not know whether a submit arrived.
    pub async fn find_by_idempotency_key(&self, key: &str) -> Result<Option<JobHandle>, Error> {
        let mut cursor: Option<String> = None;
        loop {
            let more = cursor.map(|cursor| format!("&cursor={}", encode(&cursor))).unwrap_or_default();
            let request = Request::get(format!("/v1/jobs?idempotency_key={}{more}", encode(key)));
            let page = self.with_retries(&request, None, Size::Document, read_page).await;
            let (first, next) = page.map_err(|error| error.about_key(key))?;
            if let Some(id) = first {
                return Ok(Some(JobHandle::new(self.clone(), id, Some(key.to_owned()), None)));
            }
            match next {
                None => return Ok(None),
                next => cursor = next,
            }
        }
    }

    /// Asks for anything else that the API has, on the retry budget. Whatever is no success is an error.
    pub async fn call(&self, request: &Request) -> Result<Answer, Error> {
        self.with_retries(request, None, Size::Document, |answer| Ok(answer.clone())).await
    }

    /// One try, whatever comes of it; the body is yet to be read. `patience`: until its head is there.
    pub async fn open(&self, request: &Request, patience: Duration) -> Result<OpenAnswer, Error> {
        Ok(self.0.transport.open(request, patience).await?)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What `read` makes of the answer, which it refuses if it is not to be believed. Tries until the budget is spent, or
    /// until `deadline`, when somebody else ends it.
    pub(crate) async fn with_retries<T>(
        &self,
        request: &Request,
        deadline: Option<Instant>,
        size: Size,
        read: impl Fn(&Answer) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let patience = self.0.settings.request_timeout;
        let mut trying = self.trying();
        loop {
            let answer = self.0.transport.send(request, patience, size).await;
            match answer.and_then(Fault::of).and_then(|answer| read(&answer)) {
                Ok(read) => return Ok(read),
                Err(fault) => self.try_again(&mut trying, fault, deadline).await?,
            }
        }
    }

    /// A retry budget that nothing was spent of.
    pub(crate) fn trying(&self) -> Trying {
        Trying { end: Instant::now() + self.0.settings.retry_budget, backoff: Backoff::new(), tries: 0 }
    }

    /// Waits until the next try, or says that there is none, and why.
    pub(crate) async fn try_again(
        &self,
        trying: &mut Trying,
        fault: Fault,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        if !fault.is_transient() {
            return Err(fault.into());
        }
        trying.tries += 1;
        let (end, pause) = (trying.end, trying.backoff.pause(fault.retry_after()));
        let next = Instant::now().checked_add(pause);
        if let Some(deadline) = deadline.filter(|deadline| *deadline < end && next.is_none_or(|next| next >= *deadline))
        {
            // It comes before the end of the budget: not the fault ends this, but the deadline.
            sleep_until(deadline).await;
            return Err(fault.into());
        }
        let error = Error::from(fault);
        if next.is_none_or(|next| next >= end) {
            return Err(error);
        }
        if let Some(told) = &self.0.on_trouble {
            told(&Trouble { error: &error, tries: trying.tries, pause });
        }
        sleep(pause).await;
        Ok(())
    }
}

/// How long it may be tried, and how often it was.
#[derive(Debug)]
pub(crate) struct Trying {
    end: Instant,
    backoff: Backoff,
    tries: u32,
}

/// The first id of a page, and where the next page starts.
fn read_page(answer: &Answer) -> Result<(Option<String>, Option<String>), Fault> {
    let page = answer.document()?;
    let Some(jobs) = page["jobs"].as_array() else { return Err(answer.garbled()) };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok((jobs.first().and_then(|job| text(&job["id"])), text(&page["next_cursor"])))
}
