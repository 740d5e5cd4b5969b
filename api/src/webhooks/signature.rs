//! Signatures as Standard Webhooks has them: over id, time and body, so that none of the three can be exchanged.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use raincheck_shared::domain::{DeliveryId, SigningKey, WebhookSecret};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A key that cannot sign.
#[derive(Debug, thiserror::Error)]
#[error("one of webhooks.signing_keys is no Ed25519 key")]
pub struct UnusableKey;

/// Private keys, ready to sign.
#[derive(Debug)]
pub(crate) struct SigningKeys(Vec<Ed25519KeyPair>);

impl SigningKeys {
    pub(crate) fn new(keys: &[SigningKey]) -> Result<Self, UnusableKey> {
        let pairs = keys.iter().map(|key| Ed25519KeyPair::from_seed_unchecked(key.seed()).map_err(|_| UnusableKey));
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// What anybody may know of them.
    pub(crate) fn public(&self) -> Vec<PublicKey> {
        self.0.iter().map(|pair| PublicKey::new(pair.public_key().as_ref())).collect()
    }
}

/// The public half of a signing key, as a JSON Web Key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}

impl PublicKey {
    fn new(public: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public);
        // RFC 7638: the thumbprint of the members that make the key, in this order.
        let kid = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        Self { kty: "OKP", crv: "Ed25519", x, kid: URL_SAFE_NO_PAD.encode(kid), alg: "EdDSA", usage: "sig" }
    }
}

/// The `webhook-signature` header: one signature for each key, so that a receiver finds one it can check while keys change.
pub(crate) fn signatures(
    id: DeliveryId,
    timestamp: i64,
    body: &[u8],
    secrets: &[WebhookSecret],
    keys: &SigningKeys,
) -> String {
    sign(&id.to_string(), timestamp, body, secrets, keys)
}

fn sign(id: &str, timestamp: i64, body: &[u8], secrets: &[WebhookSecret], keys: &SigningKeys) -> String {
    let content = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let shared = secrets.iter().map(|secret| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.bytes()), &content);
        format!("v1,{}", STANDARD.encode(tag))
    });
    let private = keys.0.iter().map(|pair| format!("v1a,{}", STANDARD.encode(pair.sign(&content))));
    shared.chain(private).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn a_signature_is_the_one_that_the_specification_publishes() {
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let none = SigningKeys::new(&[]).unwrap();
        let signed = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#, &[secret], &none);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// The key of RFC 8037, appendix A, and of RFC 8032, 7.1, whose first signature is of nothing.
    #[test]
    fn a_public_key_is_the_one_that_the_rfc_publishes() {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let keys = SigningKeys::new(&[SigningKey::new(seed.try_into().unwrap())]).unwrap();
        let [public] = <[PublicKey; 1]>::try_from(keys.public()).unwrap();
        assert_eq!(public.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(public.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let known = "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc-bRr0lv18FlbviRlUUFDjnoQCw";
        assert_eq!(keys.0[0].sign(b"").as_ref(), URL_SAFE_NO_PAD.decode(known).unwrap());
    }

    #[test]
    fn while_keys_change_there_is_a_signature_for_each() {
        let secrets = [WebhookSecret::new([1; 32]), WebhookSecret::new([2; 32])];
        let keys = SigningKeys::new(&[SigningKey::new([3; 32])]).unwrap();
        let alone = |n: usize| sign("id", 7, b"{}", &secrets[n..=n], &SigningKeys::new(&[]).unwrap());
        let all = sign("id", 7, b"{}", &secrets, &keys);
        let parts: Vec<&str> = all.split(' ').collect();
        assert_eq!(parts[..2], [alone(0), alone(1)]);
        let signature = STANDARD.decode(parts[2].strip_prefix("v1a,").unwrap()).unwrap();
        let public = URL_SAFE_NO_PAD.decode(&keys.public()[0].x).unwrap();
        UnparsedPublicKey::new(&ED25519, public).verify(b"id.7.{}", &signature).unwrap();
    }
}
