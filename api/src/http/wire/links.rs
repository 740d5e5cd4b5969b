//! Where things are: relative, or below the configured public URL, never below what a request's `Host` says.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{BatchId, DeliveryId, JobId};
use serde::Serialize;

/// What links start with.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkBase(String);

/// The links of a job.
#[derive(Debug, Serialize)]
pub(crate) struct JobLinks {
    #[serde(rename = "self")]
    itself: String,
    result: String,
    events: String,
    logs: String,
    cancel: String,
    retry: String,
}

impl LinkBase {
    /// As configured.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self(settings.http.public_url.as_deref().unwrap_or_default().trim_end_matches('/').to_owned())
    }

    /// A path of this API.
    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// A job.
    pub(crate) fn job(&self, id: JobId) -> String {
        format!("{}/v1/jobs/{id}", self.0)
    }

    /// A batch.
    pub(crate) fn batch(&self, id: BatchId) -> String {
        format!("{}/v1/batches/{id}", self.0)
    }

    /// Where a delivery is asked for once more.
    pub(crate) fn redeliver(&self, id: DeliveryId) -> String {
        format!("{}/v1/deliveries/{id}/redeliver", self.0)
    }

    /// A job's result.
    pub(crate) fn result(&self, id: JobId) -> String {
        format!("{}/v1/jobs/{id}/result", self.0)
    }

    /// A job's events.
    pub(crate) fn events(&self, id: JobId) -> String {
        format!("{}/v1/jobs/{id}/events", self.0)
    }

    /// All links of a job.
    pub(crate) fn all(&self, id: JobId) -> JobLinks {
        JobLinks {
            itself: self.job(id),
            result: self.result(id),
            events: self.events(id),
            logs: format!("{}/v1/jobs/{id}/logs", self.0),
            cancel: format!("{}/v1/jobs/{id}/cancel", self.0),
            retry: format!("{}/v1/jobs/{id}/retry", self.0),
        }
    }
}
