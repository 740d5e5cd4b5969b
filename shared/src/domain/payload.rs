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

    /// A content type without its parameters, in the case that it was written in.
    pub fn essence(content_type: &str) -> &str {
        content_type.split(';').next().unwrap_or_default().trim()
    }

    /// Whether a content type means JSON: `application/json` or anything `+json`, with or without parameters.
    pub fn is_json_type(content_type: &str) -> bool {
        let essence = Self::essence(content_type);
        essence.eq_ignore_ascii_case("application/json") || ends_with(essence, "+json")
    }

    /// Whether a content type means text that a reader can be shown inline.
    pub fn is_text_type(content_type: &str) -> bool {
        Self::essence(content_type).get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"))
    }
}

fn ends_with(text: &str, end: &str) -> bool {
    let start = text.len().saturating_sub(end.len());
    text.get(start..).is_some_and(|text| text.eq_ignore_ascii_case(end))
}
