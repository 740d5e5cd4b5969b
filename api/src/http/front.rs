//! What every endpoint has at hand.

use std::time::Duration;

use bytes::Bytes;
use raincheck_shared::domain::Timestamp;

use super::metrics::Counts;
use super::openapi::document;
use super::wire::LinkBase;
use crate::engine::Desk;

/// The engine, and how its answers are put.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    /// Does everything.
    pub(crate) desk: Desk,
    /// What this process has done.
    pub(crate) counts: Counts,
    /// What links start with.
    pub(crate) links: LinkBase,
    /// What `GET /openapi.json` answers.
    pub(crate) openapi: Bytes,
}

impl Front {
    /// Around an engine.
    pub(crate) fn new(desk: Desk) -> Self {
        let openapi = document(desk.settings()).to_string().into();
        Self { links: LinkBase::of(desk.settings()), openapi, desk, counts: Counts::default() }
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.desk.clock().now()
    }

    /// How long a request is held that asks for `wanted`; zero without one.
    pub(crate) fn granted(&self, wanted: Option<Duration>) -> Duration {
        wanted.unwrap_or_default().min(self.desk.settings().http.max_wait)
    }
}
