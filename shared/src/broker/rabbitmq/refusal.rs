//! What lapin's errors mean to raincheck.

use std::fmt;
use std::sync::Arc;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

use crate::broker::BrokerError;

/// An error of lapin's. Its text already holds its causes, so it must not show them as sources again.
#[derive(Debug)]
struct Amqp(lapin::Error);

impl fmt::Display for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Amqp {}

/// What the broker said, or that it could not be asked.
pub(super) fn refusal(error: lapin::Error) -> BrokerError {
    if error.is_amqp_error() {
        BrokerError::Refused(Arc::new(Amqp(error)))
    } else {
        BrokerError::Unreachable(Arc::new(Amqp(error)))
    }
}

/// The same for a declaration: a clash of arguments names the queue.
pub(super) fn declare_refusal(queue: &str, error: lapin::Error) -> BrokerError {
    if let ErrorKind::ProtocolError(said) = error.kind()
        && matches!(said.kind(), AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED))
    {
        return BrokerError::QueueMismatch { queue: queue.to_owned(), reason: said.get_message().to_string() };
    }
    refusal(error)
}

/// Whether the broker says that a queue does not exist.
pub(super) fn says_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(said)
        if matches!(said.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)))
}
