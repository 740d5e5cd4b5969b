//! Digests as headers carry them.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A SHA-256 as `Content-Digest` (RFC 9530) says it.
pub(crate) fn digest_field(digest: &[u8; 32]) -> String {
    let mut field = String::with_capacity(64);
    field.push_str("sha-256=:");
    STANDARD.encode_string(digest, &mut field);
    field.push(':');
    field
}

/// The SHA-256 in the value of a `Content-Digest`, which may hold digests of other kinds too. `None`: there is none;
/// `Err`: there is one, and it cannot be read.
pub(crate) fn read_digest_field(value: &str) -> Result<Option<[u8; 32]>, InvalidDigest> {
    for member in value.split(',') {
        let Some((name, rest)) = member.split_once('=') else { continue };
        if name.trim() != "sha-256" {
            continue;
        }
        let item = rest.split(';').next().unwrap_or_default().trim();
        let encoded = item.strip_prefix(':').and_then(|item| item.strip_suffix(':')).ok_or(InvalidDigest)?;
        let digest = STANDARD.decode(encoded).map_err(|_| InvalidDigest)?;
        return digest.try_into().map(Some).map_err(|_| InvalidDigest);
    }
    Ok(None)
}

/// Not a SHA-256 as RFC 9530 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sha-256 is not 32 bytes in base64 between colons")]
pub(crate) struct InvalidDigest;

/// The same in hexadecimal, as an entity tag.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_digest_is_read_back_among_others_and_a_broken_one_is_told_from_none() {
        let digest = [0xa7; 32];
        let field = digest_field(&digest);
        assert_eq!(read_digest_field(&field), Ok(Some(digest)));
        assert_eq!(read_digest_field(&format!("md5=:AAAA:, {field};x=1")), Ok(Some(digest)));
        assert_eq!(read_digest_field("sha-512=:AAAA:"), Ok(None));
        for bad in ["sha-256=AAAA", "sha-256=:AAAA:", "sha-256=:!:", "sha-256=:", "sha-256="] {
            assert_eq!(read_digest_field(bad), Err(InvalidDigest), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "(sha-256=)?[ -~]{0,60}") {
            let _ = read_digest_field(&value);
        }
    }
}
