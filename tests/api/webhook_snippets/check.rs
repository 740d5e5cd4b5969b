//! The check of signatures that docs/webhooks.md shows for Rust. From the next line on it is that, to the letter.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};

pub fn verify(secret: &str, id: &str, at: &str, signatures: &str, body: &[u8]) -> bool {
    let Ok(key) = STANDARD.decode(secret.trim_start_matches("whsec_")) else { return false };
    let Ok(mac) = Hmac::<sha2::Sha256>::new_from_slice(&key) else { return false };
    let mac = mac.chain_update(format!("{id}.{at}.")).chain_update(body);
    signatures
        .split(' ')
        .filter_map(|part| part.strip_prefix("v1,"))
        .any(|given| STANDARD.decode(given).is_ok_and(|given| mac.clone().verify_slice(&given).is_ok())) // and compare `at` with the clock
}
