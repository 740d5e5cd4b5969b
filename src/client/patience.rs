//! Asks until there is an answer that settles it: no answer, 408, 429 and 5xx are asked again, for as long as the budget
//! lasts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};
use raincheck_shared::telemetry::Chain;
use reqwest::{Method, Response};

use super::connection::{Answer, Client};
use super::place::Place;
use super::refusal::{explain, is_passing, refusal};
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// One try may take so long, and a second more for each of so many bytes that it carries.
const TRY: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: usize = 128 << 10;
/// Pauses start with this, and double.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A client with patience.
pub(super) struct Caller<'a> {
    client: Client,
    patience: Duration,
    clock: Arc<dyn Clock>,
    terminal: &'a Terminal,
}

/// A request, which can be sent as often as needed.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, &'a str)>,
    pub(super) body: Bytes,
}

impl<'a> Ask<'a> {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn post(path: impl Into<String>, content_type: &'a str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type)];
        Self { method: Method::POST, path: path.into(), headers, body: body.into() }
    }

    pub(super) fn header(mut self, name: &'static str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// How long there has been no answer that is of use.
pub(super) struct Silence {
    since: Option<Instant>,
    pause: Duration,
}

impl Silence {
    pub(super) fn new() -> Self {
        Self { since: None, pause: FIRST_PAUSE }
    }

    /// It is over.
    pub(super) fn end(&mut self) {
        *self = Self::new();
    }
}

impl<'a> Caller<'a> {
    pub(super) fn new(place: &Place, patience: Duration, terminal: &'a Terminal) -> Result<Self, Failure> {
        let mut client = Client::new(&place.url)?;
        if let Some(key) = &place.key {
            client = client.with_key(&key.0)?;
        }
        Ok(Self { client, patience, clock: SystemClock::shared(), terminal })
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn base(&self) -> &str {
        self.client.base()
    }

    /// Asks until it is settled. Anything but a success is a failure.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let answer = self.settled(ask).await?;
        if matches!(answer.status, 200..=299 | 304) { Ok(answer) } else { Err(refusal(&answer)) }
    }

    /// The same, with refusals as answers.
    pub(super) async fn settled(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let mut silence = Silence::new();
        loop {
            match self.once(ask).await {
                Ok(answer) if !is_passing(&answer) => return Ok(answer),
                Ok(answer) => self.pause(&mut silence, &explain(&answer), answer.retry_after).await?,
                Err(error) => self.pause(&mut silence, &self.unreached(&error)?, None).await?,
            }
        }
    }

    async fn once(&self, ask: &Ask<'_>) -> Result<Answer, reqwest::Error> {
        let patience = TRY + Duration::from_secs((ask.body.len() / BYTES_PER_SECOND) as u64);
        let Ask { method, path, headers, body } = ask;
        let response = self.client.open(method.clone(), path, headers, body.clone(), Some(patience)).await?;
        Answer::read(response).await
    }

    /// One try of something whose answer is read piece by piece.
    pub(super) async fn open(&self, ask: &Ask<'_>) -> Result<Response, reqwest::Error> {
        let Ask { method, path, headers, body } = ask;
        self.client.open(method.clone(), path, headers, body.clone(), None).await
    }

    /// What to say of an error, unless it is one that would only come again.
    pub(super) fn unreached(&self, error: &reqwest::Error) -> Result<String, Failure> {
        let base = self.base();
        if error.is_builder() {
            return Err(Failure::Usage(format!("this cannot be asked of {base}: {}", Chain(error))));
        }
        // reqwest's own text repeats the whole URL; what is below it says why.
        let mut cause: &dyn std::error::Error = error;
        while let Some(below) = cause.source() {
            cause = below;
        }
        Ok(format!("{base} does not answer: {cause}"))
    }

    /// Waits before the next try, or says that there is none.
    pub(super) async fn pause(&self, silence: &mut Silence, why: &str, asked: Option<Duration>) -> Result<(), Failure> {
        let now = self.clock.monotonic();
        let first = silence.since.is_none();
        let spent = now.duration_since(*silence.since.get_or_insert(now));
        let jittered = silence.pause.mul_f64(0.5 + IdSource.fraction());
        let pause = jittered.max(asked.unwrap_or_default());
        if spent + pause > self.patience {
            return Err(Failure::asked(
                Exit::OutOfTime,
                format!("{why}\n  tried for {:.1} s (--patience)", spent.as_secs_f64()),
            ));
        }
        if first {
            self.terminal.hint(format_args!("{why}; trying on for {:.0} s", self.patience.as_secs_f64()));
        }
        silence.pause = (silence.pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
