//! What every endpoint has at hand.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use raincheck_shared::domain::Timestamp;

use super::cross_origin::CrossOrigin;
use super::metrics::Counts;
use super::openapi::{Offers, document};
use super::own_hosts::OwnHosts;
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
    /// What `GET /openapi.json` answers, once it was asked for: to make it takes more memory than all else does at rest.
    openapi: Arc<OnceLock<Bytes>>,
    /// What each path takes and answers.
    pub(crate) offers: Arc<Offers>,
    /// Which web pages may use it.
    pub(crate) cross_origin: CrossOrigin,
    /// By which names it may be asked without keys.
    pub(crate) own_hosts: OwnHosts,
    /// Whether each request is a line in the log.
    pub(crate) logs_access: bool,
}

impl Front {
    /// Around an engine.
    pub(crate) fn new(desk: Desk) -> Self {
        let settings = desk.settings();
        Self {
            links: LinkBase::of(settings),
            offers: Arc::new(Offers::of(settings)),
            cross_origin: CrossOrigin::of(&settings.http),
            own_hosts: OwnHosts::of(&settings.http),
            logs_access: settings.log.access,
            openapi: Arc::default(),
            counts: Counts::default(),
            desk,
        }
    }

    /// What `GET /openapi.json` answers.
    pub(crate) fn openapi(&self) -> Bytes {
        self.openapi.get_or_init(|| document(self.desk.settings()).to_string().into()).clone()
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
