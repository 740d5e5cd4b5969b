//! The message on the wire.

use crate::domain::Dispatch;

/// A dispatch as a message body: versioned JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope(pub Dispatch);

/// A body that is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a raincheck envelope: {0}")]
pub struct EnvelopeError(pub String);
