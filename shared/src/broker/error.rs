//! What can go wrong with a broker. All of it is latency: the store has the jobs.

use std::sync::Arc;

/// A broker's refusal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// Not connected, blocked by the broker's alarms, or no answer in time.
    #[error("the broker is not available: {0}")]
    Unavailable(&'static str),
    /// No connection could be made, or it broke.
    #[error("the broker could not be reached")]
    Unreachable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// It answered with an error.
    #[error("the broker refused")]
    Refused(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// A queue exists with other arguments than raincheck would declare.
    #[error("queue {queue:?} exists with other arguments: {reason}. Delete it, or set another `broker.prefix`")]
    QueueMismatch {
        /// The queue's name on the broker.
        queue: String,
        /// The broker's words.
        reason: String,
    },
    /// It answers, and confirms no message: an alarm of memory or disk, most often.
    #[error("the broker takes no messages: a probe was not confirmed within {0:?}")]
    TakesNothing(std::time::Duration),
    /// The message found no queue.
    #[error("the broker returned the message: no queue {0:?}")]
    Returned(String),
}
