//! The keys that sign webhooks, as Standard Webhooks writes them: `whsec_…` for a shared secret, `whsk_…` for a private
//! key. What is signed, and how, is the courier's to know.

use core::fmt;
use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How long a shared secret may be, in bytes.
const SECRET_BYTES: core::ops::RangeInclusive<usize> = 24..=64;

/// A secret that a receiver shares: HMAC-SHA256 makes `v1` signatures of it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

/// The private half of an Ed25519 key: it makes `v1a` signatures, which anybody can check and nobody else can make.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey([u8; 32]);

/// A key that is not one; the text itself stays hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookKey {
    /// Not a shared secret.
    #[error("is not \"whsec_\" and 24 to 64 bytes in base64; `raincheck webhooks secret` makes one")]
    Secret,
    /// Not a private key.
    #[error(
        "is not \"whsk_\" and the 32 bytes of an Ed25519 key in base64; `raincheck webhooks signing-key` makes one"
    )]
    SigningKey,
}

impl WebhookSecret {
    /// A new one, of random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// The secret as bytes, for whoever signs with it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text, for whoever must be told.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidWebhookKey;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookKey> {
        let bytes = text.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())).map(Self).ok_or(InvalidWebhookKey::Secret)
    }
}

impl SigningKey {
    /// A new one, of random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The seed from which both halves of the key are made.
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as text, for whoever must keep it.
    pub fn reveal(&self) -> String {
        format!("whsk_{}", STANDARD.encode(self.0))
    }
}

impl FromStr for SigningKey {
    type Err = InvalidWebhookKey;

    /// Takes the seed alone, or with the public half behind it, as some tools write it.
    fn from_str(text: &str) -> Result<Self, InvalidWebhookKey> {
        let bytes = text.strip_prefix("whsk_").and_then(|encoded| STANDARD.decode(encoded).ok());
        let bytes = bytes.filter(|bytes| matches!(bytes.len(), 32 | 64)).ok_or(InvalidWebhookKey::SigningKey)?;
        bytes.first_chunk().copied().map(Self).ok_or(InvalidWebhookKey::SigningKey)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_***")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsk_***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_enough_and_not_shown_by_accident() {
        let secret = WebhookSecret::new([7; 32]);
        assert_eq!(secret.reveal().parse::<WebhookSecret>(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "whsec_***");
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_no base64", &short, &long] {
            assert_eq!(bad.parse::<WebhookSecret>(), Err(InvalidWebhookKey::Secret), "{bad}");
        }
    }

    #[test]
    fn a_signing_key_is_taken_with_and_without_its_public_half() {
        let key = SigningKey::new([7; 32]);
        assert_eq!(key.reveal().parse::<SigningKey>(), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "whsk_***");
        let mut both = vec![7; 32];
        both.extend([9; 32]);
        assert_eq!(format!("whsk_{}", STANDARD.encode(both)).parse::<SigningKey>(), Ok(key));
        for bad in ["", "whsk_", "whsk_AAAA", "whsec_AAAA"] {
            assert_eq!(bad.parse::<SigningKey>(), Err(InvalidWebhookKey::SigningKey), "{bad}");
        }
    }
}
