//! Bytes that can stand inside of JSON: JSON as it is, text as a string.

use raincheck_shared::domain::Payload;
use serde::Serialize;
use serde_json::value::RawValue;

use super::strict_json::reads_strictly;

/// A result or an input within an answer.
#[derive(Debug)]
pub(super) enum InlineValue<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> InlineValue<'a> {
    /// `None`: it is neither, whatever it is called. Anything may be called JSON; only what is JSON can stand there, and only
    /// what every reader of the document around it can read.
    pub(super) fn of(content_type: &str, bytes: &'a [u8]) -> Option<Self> {
        if Payload::is_json_type(content_type) {
            serde_json::from_slice(bytes).ok().filter(|_| reads_strictly(bytes)).map(InlineValue::Json)
        } else if Payload::is_text_type(content_type) {
            std::str::from_utf8(bytes).ok().map(InlineValue::Text)
        } else {
            None
        }
    }
}

impl Serialize for InlineValue<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(value) => value.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}
