//! Keys of callers: `rk_ID_SECRET`. The id can be shown and logged; of the whole only its SHA-256 is kept.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ids::Timestamp;
use super::names::TenantName;

const PREFIX: &str = "rk_";
const ID_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 64;

/// What a caller may do. None implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Submit and cancel.
    JobsWrite,
    /// Read jobs, results, lists and kinds.
    JobsRead,
    /// Lease jobs, and say how they ended: for remote workers.
    JobsWork,
    /// What belongs to no tenant: metrics, and whatever acts on whole queues.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::JobsWrite, Self::JobsRead, Self::JobsWork, Self::Admin];

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobsWrite => "jobs:write",
            Self::JobsRead => "jobs:read",
            Self::JobsWork => "jobs:work",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope: jobs:write, jobs:read, jobs:work or admin")]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let scope = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        scope.ok_or_else(|| UnknownScope(text.chars().take(80).collect()))
    }
}

/// The part of a key that is no secret: 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no key's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a key: 16 hexadecimal digits in lower case, as `raincheck keys list` shows them")]
pub struct InvalidKeyId(pub String);

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        if text.len() == ID_DIGITS && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKeyId(text.chars().take(80).collect()))
        }
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// A key as its holder has it. It cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    id: KeyId,
    text: String,
}

impl KeyText {
    /// A new one, from three draws: some 60 random bits for the id, 244 for the secret.
    pub fn new(draws: [Uuid; 3]) -> Self {
        let [id, one, two] = draws.map(|uuid| uuid.simple().to_string());
        let id = KeyId(id[..ID_DIGITS].to_owned());
        Self { text: format!("{PREFIX}{id}_{one}{two}"), id }
    }

    /// The part that is no secret.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is kept of it: its SHA-256.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.text.as_bytes()).into())
    }

    /// All of it, to be shown to whoever it is for.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.id)
    }
}

/// A text that does not look like a key at all. It is not repeated: it may be a secret of another sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key of raincheck: they look like rk_ID_SECRET")]
pub struct InvalidKeyText;

impl FromStr for KeyText {
    type Err = InvalidKeyText;

    fn from_str(text: &str) -> Result<Self, InvalidKeyText> {
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(InvalidKeyText)?;
        let id = id.parse().map_err(|_| InvalidKeyText)?;
        if secret.len() == SECRET_DIGITS && secret.bytes().all(is_digit) {
            Ok(Self { id, text: text.to_owned() })
        } else {
            Err(InvalidKeyText)
        }
    }
}

/// The SHA-256 of a key. Two of them are compared in constant time.
#[derive(Debug, Clone, Copy)]
pub struct KeyHash(pub [u8; 32]);

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
        std::hint::black_box(differences) == 0
    }
}

impl Eq for KeyHash {}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The part of it that can be shown.
    pub id: KeyId,
    /// Whose jobs are all that there are for its holder.
    pub tenant: TenantName,
    /// What it is for, in the words of whoever made it.
    pub name: String,
    /// Proof of the rest.
    pub hash: KeyHash,
    /// What its holder may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Good until then.
    pub expires_at: Option<Timestamp>,
    /// Not good any more since then.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to a minute or so.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it is neither revoked nor expired.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made() -> KeyText {
        KeyText::new([Uuid::from_u128(u128::MAX), Uuid::from_u128(1), Uuid::from_u128(2)])
    }

    #[test]
    fn a_key_reads_back_and_shows_its_id_only() {
        let key = made();
        let read: KeyText = key.expose().parse().unwrap();
        assert_eq!(read.hash(), key.hash());
        assert_eq!(read.id().as_str(), "ffffffffffffffff");
        assert_eq!(key.expose().len(), 84);
        assert_eq!(format!("{key:?}"), "rk_ffffffffffffffff_…");
    }

    #[test]
    fn what_is_not_exactly_a_key_is_refused() {
        let good = made().expose().to_owned();
        for bad in [
            String::new(),
            "rk_".to_owned(),
            good.to_uppercase(),
            good.replace("rk_", "rk-"),
            good[..good.len() - 1].to_owned(),
            format!("{good}0"),
            format!(" {good}"),
            good.replace('f', "g"),
            good.replace("_0", "_é"),
        ] {
            assert_eq!(bad.parse::<KeyText>(), Err(InvalidKeyText), "{bad}");
        }
    }

    #[test]
    fn one_bit_makes_another_hash() {
        let hash = made().hash();
        for bit in 0..256 {
            let mut other = hash;
            other.0[bit / 8] ^= 1 << (bit % 8);
            let same = KeyHash(hash.0);
            assert!(other != hash && hash == same);
        }
    }

    #[test]
    fn a_key_is_good_until_it_expires_or_is_revoked() {
        let at = |seconds| Timestamp::UNIX_EPOCH + time::Duration::seconds(seconds);
        let key = ApiKey {
            id: made().id().clone(),
            tenant: TenantName::default(),
            name: "test".to_owned(),
            hash: made().hash(),
            scopes: vec![],
            created_at: at(0),
            expires_at: Some(at(10)),
            revoked_at: None,
            last_used_at: None,
        };
        assert!(key.is_good(at(9)) && !key.is_good(at(10)));
        assert!(!ApiKey { revoked_at: Some(at(5)), ..key.clone() }.is_good(at(4)), "whatever the clocks say");
        assert!(ApiKey { expires_at: None, ..key }.is_good(at(1_000_000)));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,100}") {
            let _ = (text.parse::<KeyText>(), text.parse::<KeyId>(), text.parse::<Scope>());
        }
    }
}
