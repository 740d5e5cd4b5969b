//! Where things are: relative, or below the configured public URL, never below what a request's `Host` says.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{BatchId, DeliveryId, JobId};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// What links start with.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkBase(String);

/// The links of a job: where it is, and what lies below.
#[derive(Debug)]
pub(crate) struct JobLinks(String);

impl Serialize for JobLinks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const BELOW: [(&str, &str); 5] = [
            ("result", "/result"),
            ("events", "/events"),
            ("logs", "/logs"),
            ("cancel", "/cancel"),
            ("retry", "/retry"),
        ];
        let Self(job) = self;
        let mut links = serializer.serialize_struct("JobLinks", 1 + BELOW.len())?;
        links.serialize_field("self", job)?;
        // Every answer has them all: one text, of which the end is changed.
        let mut link = String::with_capacity(job.len() + "/result".len());
        link.push_str(job);
        for (name, below) in BELOW {
            link.truncate(job.len());
            link.push_str(below);
            links.serialize_field(name, &link)?;
        }
        links.end()
    }
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
        JobLinks(self.job(id))
    }
}
