//! Tickets: each lets whoever holds it read one job, for a while. Nothing of them is kept: a ticket says what it allows,
//! and proves it by a MAC under a secret that all replicas share through the store.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use raincheck_shared::domain::{JobId, TenantName, Timestamp};
use raincheck_shared::lifecycle::{Clock, IdSource};
use sha2::Sha256;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::keyring::Denied;
use super::store_calls::StoreCalls;
use super::{Caller, Refusal};

/// What tells a ticket from a key.
const PREFIX: &str = "rt_";
/// The name of the secret in the store.
const SECRET: &str = "tickets";
/// Longer than any that was ever issued.
const LONGEST: usize = 256;

type Signature = Hmac<Sha256>;

/// A ticket that was issued.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// `rt_…`
    pub(crate) text: String,
    /// Good until then.
    pub(crate) expires_at: Timestamp,
}

/// Issues and reads tickets. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Tickets {
    calls: StoreCalls,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    /// Read from the store when first needed.
    secret: Arc<OnceCell<Vec<u8>>>,
}

impl Tickets {
    /// Tickets that are good for `lifetime`.
    pub(crate) fn new(calls: StoreCalls, clock: Arc<dyn Clock>, lifetime: Duration) -> Self {
        Self { calls, clock, lifetime, secret: Arc::default() }
    }

    /// Whether this text wants to be a ticket.
    pub(crate) fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// A ticket to read a job. Its existence is the caller's to check.
    pub(crate) async fn issue(&self, tenant: &TenantName, job: JobId) -> Result<Ticket, Refusal> {
        let expires_at = (self.clock.now() + self.lifetime).truncate_to_second();
        let claims = write_claims(tenant, job, expires_at.unix_timestamp());
        let mac = sign(self.secret().await?, &claims)?.finalize().into_bytes();
        Ok(Ticket { text: format!("{PREFIX}{claims}.{}", hex(&mac)), expires_at })
    }

    /// Who shows this as its ticket.
    pub(crate) async fn holder(&self, shown: &str) -> Result<Caller, Denied> {
        let read = read(shown).ok_or(Denied::NotGood)?;
        // In constant time.
        sign(self.secret().await?, read.claims)?.verify_slice(&read.mac).map_err(|_| Denied::NotGood)?;
        if self.clock.now().unix_timestamp() >= read.expires_at {
            return Err(Denied::NotGood);
        }
        Ok(Caller::with_ticket(read.tenant, read.job))
    }

    async fn secret(&self) -> Result<&[u8], Refusal> {
        let secret = self.secret.get_or_try_init(|| async {
            let fresh = [IdSource.random(), IdSource.random(), IdSource.random()].map(Uuid::into_bytes).concat();
            self.calls.ask(move |store| async move { store.keys.find_secret(SECRET, &fresh).await }).await
        });
        secret.await.map(Vec::as_slice)
    }
}

fn sign(secret: &[u8], claims: &str) -> Result<Signature, Refusal> {
    // A key of any length will do.
    let mut signature = Signature::new_from_slice(secret).map_err(|_| Refusal::Inconsistent)?;
    signature.update(claims.as_bytes());
    Ok(signature)
}

/// `JOB.EXPIRY.TENANT`; a tenant's name may have dots, so it comes last.
fn write_claims(tenant: &TenantName, job: JobId, expires_at: i64) -> String {
    format!("{}.{expires_at:x}.{tenant}", job.as_uuid().simple())
}

/// What a ticket says, not yet believed.
struct Read<'t> {
    claims: &'t str,
    job: JobId,
    expires_at: i64,
    tenant: TenantName,
    mac: Vec<u8>,
}

fn read(shown: &str) -> Option<Read<'_>> {
    let (claims, mac) = shown.strip_prefix(PREFIX).filter(|_| shown.len() <= LONGEST)?.rsplit_once('.')?;
    let mut parts = claims.splitn(3, '.');
    let (job, expires_at, tenant) = (parts.next()?, parts.next()?, parts.next()?);
    let (job, expires_at) = (Uuid::try_parse(job).ok()?, i64::from_str_radix(expires_at, 16).ok()?);
    Some(Read { claims, job: JobId::new(job), expires_at, tenant: tenant.parse().ok()?, mac: unhex(mac)? })
}

/// What a text that wants to be a ticket claims, as a ticket would; `None`: it cannot be one.
#[cfg(feature = "laws")]
pub(crate) fn ticket_claims(shown: &str) -> Option<String> {
    // None of ours has ever expired before the epoch.
    let read = read(shown).filter(|read| read.expires_at >= 0)?;
    Some(write_claims(&read.tenant, read.job, read.expires_at))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|n| char::from_digit(n.into(), 16)).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok());
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_ticket_says_is_read_back() {
        let (job, tenant) = (IdSource.job(), "a.b.c-d_e".parse::<TenantName>().unwrap());
        let claims = write_claims(&tenant, job, 1_800_000_000);
        let text = format!("{PREFIX}{claims}.{}", hex(&[0, 15, 16, 255]));
        let read = read(&text).unwrap();
        assert_eq!((read.claims, read.job, read.expires_at), (claims.as_str(), job, 1_800_000_000));
        assert_eq!((read.tenant, read.mac), (tenant, vec![0, 15, 16, 255]));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(rt_)?[0-9a-f.\\PC]{0,80}") {
            let _ = read(&text);
        }
    }
}
