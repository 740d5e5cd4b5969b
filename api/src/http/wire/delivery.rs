//! A delivery, as the contract shows it.

use raincheck_shared::domain::{Delivery, DeliveryAttempt, Timestamp};
use serde::Serialize;
use time::serde::rfc3339;

use super::LinkBase;

/// A delivery with its history.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryView<'a> {
    id: String,
    /// One of the two.
    job_id: Option<String>,
    batch_id: Option<String>,
    version: Option<i32>,
    event: &'static str,
    url: &'a str,
    state: &'static str,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    next_attempt_at: Option<Timestamp>,
    attempt: i32,
    /// The latest ones, oldest first.
    attempts: &'a [DeliveryAttempt],
    links: DeliveryLinks,
}

#[derive(Debug, Serialize)]
struct DeliveryLinks {
    job: Option<String>,
    batch: Option<String>,
    redeliver: String,
}

impl<'a> DeliveryView<'a> {
    /// A delivery to `url`.
    pub(crate) fn new(delivery: &'a Delivery, url: &'a str, links: &LinkBase) -> Self {
        let id = delivery.id;
        Self {
            id: id.to_string(),
            job_id: id.job().map(|job| job.to_string()),
            batch_id: id.batch().map(|batch| batch.to_string()),
            version: id.version(),
            event: delivery.event.as_str(),
            url,
            state: delivery.state.as_str(),
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            attempt: delivery.attempts,
            attempts: &delivery.history,
            links: DeliveryLinks {
                job: id.job().map(|job| links.job(job)),
                batch: id.batch().map(|batch| links.batch(batch)),
                redeliver: links.redeliver(id),
            },
        }
    }
}
