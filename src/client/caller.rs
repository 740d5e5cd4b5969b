//! Asks an instance, as patiently as `--patience` says, and turns what goes wrong into what a command ends with.

use std::sync::Arc;
use std::time::Duration;

use raincheck_client::{Client, Error, JobHandle, Request};
use raincheck_shared::config::format_duration;
use raincheck_shared::lifecycle::{Clock, SystemClock};
use serde_json::Value;

use super::connection::connect;
use super::place::Place;
use super::refusal::{explain, failure};
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// A client with patience.
pub(super) struct Caller {
    client: Client,
    patience: Duration,
    clock: Arc<dyn Clock>,
}

/// A success.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP's.
    pub(super) status: u16,
    /// Its body.
    pub(super) json: Value,
}

impl Caller {
    pub(super) fn new(place: &Place, patience: Duration) -> Result<Self, Failure> {
        let builder = connect(&place.url, place.key.as_ref().map(|key| key.0.as_str()), place.authority.as_deref())?;
        let (base, shown) = (place.url.trim_end_matches('/').to_owned(), format_duration(patience));
        let client = builder.retry_budget(patience).on_trouble(move |trouble| {
            // Once is enough; the stderr that the terminal writes to is the process's, whoever asks for it.
            if trouble.tries == 1 {
                let why = explain(trouble.error, &base);
                Terminal::detect().hint(format_args!("{why}; trying on for {shown}"));
            }
        });
        let client = client.build().map_err(|error| failure(&error, &place.url))?;
        Ok(Self { client, patience, clock: SystemClock::shared() })
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn base(&self) -> &str {
        self.client.base_url()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn job(&self, id: &str) -> JobHandle {
        self.client.job(id)
    }

    /// Asks until it is settled. Anything but a success in JSON, or one that has nothing to say, is a failure.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let answer = self.client.call(request).await.map_err(|error| self.failure(&error))?;
        let json = if answer.status == 204 { Value::Null } else { answer.json().map_err(|_| self.strange())? };
        Ok(Answer { status: answer.status, json })
    }

    /// What a command ends with when this happened.
    pub(super) fn failure(&self, error: &Error) -> Failure {
        match failure(error, self.base()) {
            Failure::Asked { what, exit: Exit::OutOfTime } => {
                let patience = format_duration(self.patience);
                Failure::asked(Exit::OutOfTime, format!("{what}\n  given up: --patience is {patience}"))
            }
            other => other,
        }
    }

    /// Something answers, and it is no raincheck.
    pub(super) fn strange(&self) -> Failure {
        Failure::new(format!("{} does not answer like a raincheck", self.base()))
    }
}
