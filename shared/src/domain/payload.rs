//! Bytes and what they are: inputs and results, kept and returned byte for byte. Larger ones are a [`super::Content`].

use bytes::Bytes;

/// An input or a result that is in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// A media type, for instance `application/json`.
    pub content_type: String,
    /// The bytes, never changed on their way.
    pub bytes: Bytes,
}

impl Payload {
    /// JSON text, already serialised.
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Self { content_type: "application/json".to_owned(), bytes: bytes.into() }
    }

    /// Whether a content type means JSON: `application/json` or anything `+json`, with or without parameters.
    pub fn is_json_type(content_type: &str) -> bool {
        let essence = essence(content_type);
        essence == "application/json" || essence.ends_with("+json")
    }

    /// Whether a content type means text that a reader can be shown inline.
    pub fn is_text_type(content_type: &str) -> bool {
        essence(content_type).starts_with("text/")
    }
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
