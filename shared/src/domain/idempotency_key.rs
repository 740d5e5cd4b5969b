//! What makes a repeated request the same request.

use std::fmt;
use std::str::FromStr;

use super::ids::JobId;

/// A key a client chose so that sending twice accepts once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

/// A key that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 printable ASCII characters, bare or in double quotes")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The key of a job whose id its client chose: the id stands for the request. In quotes, which no key of a client's own
    /// has inside, so that the two cannot meet.
    pub fn of_job(id: JobId) -> Self {
        Self(format!("\"{id}\""))
    }

    /// The key of the one job that a redrive makes of a failed one, however often and by whomever it is asked for. No client
    /// can send it either.
    pub fn of_redrive(id: JobId) -> Self {
        Self(format!("\"redrive {id}\""))
    }

    /// A stored key as its client knows it; `None` for one that stands for the job's id.
    pub fn shown(stored: &str) -> Option<&str> {
        (!stored.starts_with('"')).then_some(stored)
    }

    /// The key as text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    /// Takes a key bare or quoted, as the `Idempotency-Key` header carries it.
    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let text = text.trim_matches([' ', '\t']);
        let key = match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').ok_or(InvalidIdempotencyKey)?,
            None => text,
        };
        let printable = key.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"');
        if printable && (1..=255).contains(&key.len()) { Ok(Self(key.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256 over kind, input and options: two requests with the same key are the same only if this agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_bare_or_quoted() {
        assert_eq!("\"abc\"".parse::<IdempotencyKey>(), "abc".parse());
        assert_eq!(" abc ".parse::<IdempotencyKey>(), "abc".parse());
    }

    #[test]
    fn the_key_of_an_id_is_none_that_a_client_can_send_nor_is_it_shown() {
        let id = JobId::new(uuid::Uuid::nil());
        let key = IdempotencyKey::of_job(id);
        assert_ne!(key.as_str().parse::<IdempotencyKey>().as_ref(), Ok(&key));
        assert_ne!(format!("\"{key}\"").parse::<IdempotencyKey>().as_ref(), Ok(&key));
        assert_eq!(IdempotencyKey::shown(key.as_str()), None);
        assert_eq!(IdempotencyKey::shown("abc"), Some("abc"));
    }

    #[test]
    fn a_key_is_printable_and_at_most_255_long() {
        assert!("k".repeat(255).parse::<IdempotencyKey>().is_ok());
        for bad in ["", "\"\"", "\"abc", "a\"b", "a\u{1}", "a\0b", "ä", &"k".repeat(256)] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad:?}");
        }
    }
}
