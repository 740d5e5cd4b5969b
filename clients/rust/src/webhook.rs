//! Webhooks, believed only when they are signed as Standard Webhooks say: <https://www.standardwebhooks.com>

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

use crate::error::Error;
use crate::job::Job;
use crate::retry::now;

/// A webhook that is genuine.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookEvent {
    /// The same each time it is delivered: keep it, to do its work once.
    pub id: String,
    /// For instance `job.succeeded`.
    pub kind: Option<String>,
    /// The whole job, if the webhook is about one. Older versions may arrive later than newer ones.
    pub job: Option<Job>,
    /// The parsed body.
    pub raw: Value,
}

/// The webhook is not to be believed: its signature, its age or its form is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookRejected {
    /// There are three: `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// It is not written as it should be.
    #[error("webhook-timestamp is not a whole number of seconds")]
    Timestamp,
    /// Whoever recorded it once could send it for ever.
    #[error("webhook-timestamp is too old, or too far ahead")]
    Age,
    /// None was made with one of the keys over what came.
    #[error("no signature fits")]
    Signature,
    /// It is signed, and raincheck's it is not.
    #[error("the body is not JSON")]
    Body,
}

/// The keys of which one has to have signed, and how old a webhook may be.
#[derive(Clone)]
pub struct WebhookKeys {
    shared: Vec<hmac::Key>,
    public: Vec<UnparsedPublicKey<Vec<u8>>>,
    /// Seconds.
    tolerance: u64,
}

impl fmt::Debug for WebhookKeys {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookKeys({} shared, {} public)", self.shared.len(), self.public.len())
    }
}

impl WebhookKeys {
    /// Several during a rotation. Each is `whsec_…`, a secret that is shared with the server and makes `v1` signatures; or
    /// `whpk_…`, the public half of a key that makes `v1a` signatures: `whpk_` and the `x` of a key in the server's
    /// `/.well-known/jwks.json`, or the same bytes in plain base64.
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Result<Self, Error> {
        let (mut shared, mut public) = (Vec::new(), Vec::new());
        for key in keys {
            let key = key.as_ref();
            if let Some(encoded) = key.strip_prefix("whpk_") {
                let bytes = STANDARD.decode(encoded).or_else(|_| URL_SAFE_NO_PAD.decode(encoded)).unwrap_or_default();
                if bytes.len() != 32 {
                    return Err(Error::invalid("a public key of webhooks is `whpk_` and 32 bytes in base64"));
                }
                public.push(UnparsedPublicKey::new(&ED25519, bytes));
            } else {
                let bytes = STANDARD.decode(key.strip_prefix("whsec_").unwrap_or(key)).unwrap_or_default();
                if bytes.is_empty() {
                    return Err(Error::invalid("a webhook secret is base64, with `whsec_` before it or without"));
                }
                shared.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
            }
        }
        Ok(Self { shared, public, tolerance: 300 })
    }

    /// How old a webhook may be, or how far ahead, in whole seconds. 300 s.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance.as_secs();
        self
    }

    /// What [`verify_webhook`] does, as if it were `now`, in seconds since 1970.
    pub fn verify_at<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        body: &[u8],
        headers: impl IntoIterator<Item = (N, V)>,
        now: i64,
    ) -> Result<WebhookEvent, WebhookRejected> {
        const NAMES: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let mut found: [Option<String>; 3] = [None, None, None];
        for (name, value) in headers {
            if let Some(place) = NAMES.iter().position(|wanted| wanted.eq_ignore_ascii_case(name.as_ref())) {
                found[place] = std::str::from_utf8(value.as_ref()).ok().map(str::to_owned);
            }
        }
        let [id, timestamp, signatures] = found;
        let id = id.ok_or(WebhookRejected::Missing(NAMES[0]))?;
        let timestamp = timestamp.ok_or(WebhookRejected::Missing(NAMES[1]))?;
        let signatures = signatures.ok_or(WebhookRejected::Missing(NAMES[2]))?;
        if timestamp.is_empty() || timestamp.len() > 15 || !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WebhookRejected::Timestamp);
        }
        let at: i64 = timestamp.parse().map_err(|_| WebhookRejected::Timestamp)?;
        if now.abs_diff(at) > self.tolerance {
            return Err(WebhookRejected::Age);
        }
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        // All of them, whichever fits: the time taken tells nothing.
        let fits = signatures.split(' ').map(|text| self.fits(text, &signed)).filter(|fits| *fits).count();
        if fits == 0 {
            return Err(WebhookRejected::Signature);
        }
        let raw: Value = serde_json::from_slice(body).map_err(|_| WebhookRejected::Body)?;
        let kind = raw["type"].as_str().map(str::to_owned);
        Ok(WebhookEvent { id, kind, job: raw.get("data").cloned().and_then(Job::read), raw })
    }

    fn fits(&self, text: &str, signed: &[u8]) -> bool {
        let decoded = |encoded: &str| STANDARD.decode(encoded).unwrap_or_default();
        if let Some(given) = text.strip_prefix("v1,").map(decoded) {
            return self.shared.iter().filter(|key| hmac::verify(key, signed, &given).is_ok()).count() > 0;
        }
        let Some(given) = text.strip_prefix("v1a,").map(decoded) else { return false };
        self.public.iter().filter(|key| key.verify(signed, &given).is_ok()).count() > 0
    }
}

/// The event in a webhook that is genuine.
///
/// `body`: the bytes as they came; parsed and written again they are other bytes. `headers`: pairs, names in any case, such
/// as a reference to an `http::HeaderMap`.
pub fn verify_webhook<N: AsRef<str>, V: AsRef<[u8]>>(
    body: &[u8],
    headers: impl IntoIterator<Item = (N, V)>,
    keys: &WebhookKeys,
) -> Result<WebhookEvent, WebhookRejected> {
    keys.verify_at(body, headers, now().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_before_a_webhook_comes() {
        for bad in ["", "whsec_", "whsec_*", "whpk_", "whpk_AAAA"] {
            assert!(WebhookKeys::new([bad]).is_err(), "{bad}");
        }
        let keys = WebhookKeys::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        assert_eq!(format!("{keys:?}"), "WebhookKeys(1 shared, 0 public)");
    }

    #[test]
    fn a_webhook_of_now_is_judged_by_the_clock() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(&secret[6..]).unwrap());
        let keys = WebhookKeys::new([secret]).unwrap();
        for (age, wanted) in
            [(0, None), (290, None), (310, Some(WebhookRejected::Age)), (-310, Some(WebhookRejected::Age))]
        {
            let at = (now().unix_timestamp() - age).to_string();
            let tag = hmac::sign(&key, format!("e.{at}.{{}}").as_bytes());
            let signature = format!("v1,{}", STANDARD.encode(tag));
            let headers = [("webhook-id", "e"), ("webhook-timestamp", &at), ("webhook-signature", &signature)];
            assert_eq!(verify_webhook(b"{}", headers, &keys).err(), wanted, "{age} s old");
        }
    }
}
