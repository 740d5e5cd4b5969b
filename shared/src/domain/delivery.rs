//! A delivery: one event of a job, or of a batch, on its way to a webhook, and what became of each attempt.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ids::{BatchId, JobId, Timestamp, Version};
use super::webhook::Event;

/// No receiver's `Retry-After` holds a delivery up for longer.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);
/// To both sides, so that what failed together is not tried again together.
const JITTER: f64 = 0.1;

/// Which delivery. The same over all attempts, and the `webhook-id` that a receiver sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryId {
    /// Each version of a job is one event at most, so the two together name it.
    Job {
        /// Whose event.
        id: JobId,
        /// The version that the event gave the job, from 1.
        version: Version,
    },
    /// A batch has one event only, its end.
    Batch(BatchId),
}

impl DeliveryId {
    /// Where the version stands, of a batch. No job has it: they begin with 1.
    const OF_BATCH: Version = 0;

    /// Of the two numbers that name it, as [`DeliveryId::numbers`] gives them.
    pub const fn of_numbers(of: Uuid, version: Version) -> Self {
        match version {
            Self::OF_BATCH => Self::Batch(BatchId::new(of)),
            version => Self::Job { id: JobId::new(of), version },
        }
    }

    /// The two numbers that name it: as the stores keep it, and as it is written.
    pub const fn numbers(self) -> (Uuid, Version) {
        match self {
            Self::Job { id, version } => (id.as_uuid(), version),
            Self::Batch(id) => (id.as_uuid(), Self::OF_BATCH),
        }
    }

    /// The job whose event it is.
    pub const fn job(self) -> Option<JobId> {
        match self {
            Self::Job { id, .. } => Some(id),
            Self::Batch(_) => None,
        }
    }

    /// The batch whose event it is.
    pub const fn batch(self) -> Option<BatchId> {
        match self {
            Self::Job { .. } => None,
            Self::Batch(id) => Some(id),
        }
    }

    /// The version that the event gave its job.
    pub const fn version(self) -> Option<Version> {
        match self {
            Self::Job { version, .. } => Some(version),
            Self::Batch(_) => None,
        }
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, version) = self.numbers();
        write!(f, "{}_{version}", of.hyphenated())
    }
}

/// A text that is no delivery's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a delivery's id is the id of a job or a batch, an underscore and a number, such as 0192f0c1-2345-7abc-8def-0123456789ab_4"
)]
pub struct InvalidDeliveryId;

impl FromStr for DeliveryId {
    type Err = InvalidDeliveryId;

    /// Takes only what [`DeliveryId`] prints, so that each delivery has one URL.
    fn from_str(text: &str) -> Result<Self, InvalidDeliveryId> {
        let (of, version) = text.split_once('_').ok_or(InvalidDeliveryId)?;
        let of = Uuid::try_parse(of).map_err(|_| InvalidDeliveryId)?;
        let id = Self::of_numbers(of, version.parse().map_err(|_| InvalidDeliveryId)?);
        if id.to_string() == text { Ok(id) } else { Err(InvalidDeliveryId) }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is due, or will be again.
    Pending,
    /// The receiver has taken it.
    Delivered,
    /// No further attempt will be made, unless somebody asks for one.
    Failed,
    /// It told how far a job is that has ended since.
    Superseded,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Failed, Self::Superseded];

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }
}

/// A text that names no state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state of a delivery {0:?}")]
pub struct UnknownDeliveryState(String);

impl FromStr for DeliveryState {
    type Err = UnknownDeliveryState;

    fn from_str(text: &str) -> Result<Self, UnknownDeliveryState> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| UnknownDeliveryState(text.to_owned()))
    }
}

/// One attempt, as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// From its beginning to the last byte that was read, or to the failure.
    pub latency_ms: u64,
    /// What the receiver answered; `None`: nothing.
    pub status: Option<u16>,
    /// The first [`DeliveryAttempt::RESPONSE_LIMIT`] bytes of the answer's body, as text.
    pub response: Option<String>,
    /// Why it was no success, for a person.
    pub error: Option<String>,
}

impl DeliveryAttempt {
    /// How much of an answer is read and kept, in bytes.
    pub const RESPONSE_LIMIT: usize = 1024;
    /// How many attempts of one delivery are kept, the latest.
    pub const KEPT: usize = 50;

    /// A body's beginning as text that both stores can keep; `None` for an empty one.
    pub fn readable(body: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(&body[..body.len().min(Self::RESPONSE_LIMIT)]).replace('\0', "\u{fffd}");
        (!text.is_empty()).then_some(text)
    }
}

/// A delivery with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which one.
    pub id: DeliveryId,
    /// What it tells.
    pub event: Event,
    /// When that happened; of progress that came too soon after the last, when it may first be told.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts that were recorded, over all redeliveries.
    pub attempts: i32,
    /// When the next attempt is due, while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// The latest [`DeliveryAttempt::KEPT`] attempts, oldest first.
    pub history: Vec<DeliveryAttempt>,
}

/// As much of the deliveries of a job, or of a batch, as it shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct DeliverySummary {
    /// Where the latest one stands.
    pub state: DeliveryState,
    /// Its attempts.
    pub attempts: i32,
    /// What the receiver answered last.
    pub last_status: Option<u16>,
    /// Rises whenever one of the above changes while nothing else does.
    pub changes: i64,
}

/// When a delivery is tried again after `tries` attempts that came to nothing: `retries` holds the pauses between them.
/// `None`: never. `random` is in `0.0..1.0`; `asked` is the receiver's `Retry-After`, which makes a pause longer, never
/// shorter.
pub fn next_try(retries: &[Duration], tries: usize, asked: Option<Duration>, random: f64) -> Option<Duration> {
    let pause = *retries.get(tries.checked_sub(1)?)?;
    let spread = pause.mul_f64(1.0 + JITTER * (2.0 * random - 1.0));
    Some(asked.map_or(spread, |asked| spread.max(asked.min(MAX_RETRY_AFTER))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RETRIES: [Duration; 3] = [Duration::from_secs(5), Duration::from_mins(5), Duration::from_hours(2)];

    #[test]
    fn the_pauses_are_those_of_the_schedule_and_then_it_is_over() {
        let pauses: Vec<_> = (1..=4).map(|tries| next_try(&RETRIES, tries, None, 0.5)).collect();
        assert_eq!(pauses, [Some(RETRIES[0]), Some(RETRIES[1]), Some(RETRIES[2]), None]);
        assert_eq!(next_try(&[], 1, None, 0.5), None);
    }

    #[test]
    fn a_pause_is_spread_by_a_tenth_to_both_sides() {
        assert_eq!(next_try(&RETRIES, 2, None, 0.0), Some(Duration::from_secs(270)));
        let longest = next_try(&RETRIES, 2, None, 0.999_999).unwrap();
        assert!(longest > Duration::from_secs(329) && longest < Duration::from_secs(330), "{longest:?}");
    }

    #[test]
    fn a_receiver_can_ask_for_a_longer_pause_up_to_a_day_and_for_no_shorter_one_nor_for_another_try() {
        assert_eq!(next_try(&RETRIES, 1, Some(60 * SECOND), 0.5), Some(60 * SECOND));
        assert_eq!(next_try(&RETRIES, 1, Some(SECOND), 0.5), Some(5 * SECOND));
        assert_eq!(next_try(&RETRIES, 1, Some(Duration::MAX), 0.5), Some(MAX_RETRY_AFTER));
        assert_eq!(next_try(&RETRIES, 4, Some(60 * SECOND), 0.5), None);
    }

    #[test]
    fn an_id_has_one_form() {
        let text = "0192f0c1-2345-7abc-8def-0123456789ab_4";
        let id = text.parse::<DeliveryId>().unwrap();
        assert_eq!((id.to_string().as_str(), id.version(), id.batch()), (text, Some(4), None));
        let text = "0192f0c1-2345-7abc-8def-0123456789ab_0";
        let id = text.parse::<DeliveryId>().unwrap();
        assert_eq!((id.to_string().as_str(), id.version(), id.job()), (text, None, None), "of a batch");
        for bad in ["", "_", "4", "0192f0c1-2345-7abc-8def-0123456789ab", "0192F0C1-2345-7abc-8def-0123456789ab_4"] {
            assert_eq!(bad.parse::<DeliveryId>(), Err(InvalidDeliveryId), "{bad}");
        }
        for version in ["", "+4", "04", "4 ", "99999999999"] {
            let bad = format!("0192f0c1-2345-7abc-8def-0123456789ab_{version}");
            assert_eq!(bad.parse::<DeliveryId>(), Err(InvalidDeliveryId), "{bad}");
        }
    }

    #[test]
    fn of_an_answer_its_beginning_is_kept_as_text() {
        assert_eq!(DeliveryAttempt::readable(b""), None);
        assert_eq!(DeliveryAttempt::readable(b"a\0b\xff").as_deref(), Some("a\u{fffd}b\u{fffd}"));
        assert_eq!(DeliveryAttempt::readable(&[b'x'; 5000]).map(|text| text.len()), Some(1024));
    }
}
