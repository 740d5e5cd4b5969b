//! What is wrong with a submission itself, whatever the store says.

use std::fmt;

use super::Field;

/// Why a submission is not accepted, whatever the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// No such kind.
    UnknownKind(String),
    /// The kind does not take inputs of this type; the sentence says what it takes.
    MediaType(String),
    /// The input is larger than this many bytes.
    TooLarge(u64),
    /// All that is wrong with it, never none.
    Faults(Vec<Fault>),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: Field,
    pub(crate) kind: FaultKind,
    pub(crate) detail: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "there is no kind {kind:?}"),
            Self::MediaType(detail) => f.write_str(detail),
            Self::TooLarge(most) => write!(f, "its input is larger than {most} bytes"),
            Self::Faults(faults) => {
                for (n, fault) in faults.iter().enumerate() {
                    write!(f, "{}{fault}", if n > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

/// What sort of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Invalid,
    /// Good when it was first sent, perhaps: a repeated request may still be answered.
    DeadlinePast,
    /// The client's id is not one that can be given now. The same holds: it may have been good when it was first sent.
    IdRefused,
    /// It cannot be told to this webhook, here and now.
    Webhook,
}
