//! What the server's clock shows while something is sent to it. A server that was frozen reads what was sent meanwhile once it
//! thaws, also what nobody waits for any more, and has to know how old that is.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::domain::Timestamp;

/// The time of the last answer, counted on. Set anew by each answer, so a server's clock that jumps, or another server, is
/// believed from the second one on.
#[derive(Debug, Default)]
pub(super) struct ServerTime(Mutex<Option<(Instant, Timestamp)>>);

impl ServerTime {
    /// Its time at `now`; `None`: nothing has been answered yet. Too early rather than too late: an answer is older than its
    /// arrival.
    pub(super) fn at(&self, now: Instant) -> Option<Timestamp> {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.map(|(arrived, time)| time + now.saturating_duration_since(arrived))
    }

    /// Notes the time in an answer that has just arrived.
    pub(super) fn note(&self, arrived: Instant, time: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((arrived, time));
    }
}
