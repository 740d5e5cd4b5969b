//! Webhooks: jobs' events on their way to whoever wants to be told.
//!
//! - `destinations`: where they may go
//! - `lookups`: whose names are being looked up
//! - `dialer`: one call
//! - `signature`, `body`: what is sent
//! - `receivers`: who is being sent to
//! - `courier`: the loop that sends what is due

mod body;
mod courier;
mod destinations;
mod dialer;
#[cfg(feature = "laws")]
pub(crate) mod laws;
mod lookups;
mod receivers;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use raincheck_shared::broker::Broker;
use raincheck_shared::config::Settings;
use raincheck_shared::domain::{CallbackUrl, TenantName};
use raincheck_shared::lifecycle::{Clock, ReconcilerHealth, Shutdown};
use raincheck_shared::store::Store;

use self::courier::Courier;
use self::destinations::{DestinationError, Destinations, SystemResolver};
use self::dialer::Dialer;
pub(crate) use self::signature::PublicKey;
use self::signature::SigningKeys;
pub use self::signature::UnusableKey;
use crate::engine::{Fault, FaultKind, Field};
use crate::http::LinkBase;
pub use raincheck_shared::tls::TlsError;

/// Why webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No signature.
    #[error(transparent)]
    Key(#[from] UnusableKey),
}

/// What the API needs to know of webhooks. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Webhooks {
    /// Where they may go.
    pub(crate) destinations: Destinations,
    /// Whose signatures they bear.
    pub(crate) public_keys: Arc<[PublicKey]>,
}

impl Webhooks {
    /// What is wrong with a URL as far as can be told now. A name that nobody answers for is taken, unless it is certain that
    /// there is none: what it means is looked at again before anything is sent.
    pub(crate) async fn fault(&self, url: &CallbackUrl, tenant: &TenantName) -> Option<Fault> {
        let visit = async { self.destinations.addresses(self.destinations.visit(url, tenant).await?).await };
        match visit.await {
            Ok(_) | Err(DestinationError::Silent | DestinationError::Unanswered(_) | DestinationError::Busy) => None,
            Err(error) => Some(fault(&error)),
        }
    }

    /// The same without asking what a name means.
    pub(crate) fn fault_as_written(&self, url: &CallbackUrl) -> Option<Fault> {
        self.destinations.check(url).err().map(|error| fault(&error))
    }
}

fn fault(error: &DestinationError) -> Fault {
    Fault { field: Field::WebhookUrl, kind: FaultKind::Webhook, detail: error.to_string() }
}

/// Starts to send what is due.
pub(crate) fn start(
    settings: &Arc<Settings>,
    store: &Store,
    clock: &Arc<dyn Clock>,
    broker: &Broker,
    shutdown: &Shutdown,
) -> Result<(Webhooks, ReconcilerHealth), WebhookError> {
    let destinations = Destinations::new(&settings.webhooks, Arc::new(SystemResolver));
    let keys = Arc::new(SigningKeys::new(&settings.webhooks.signing_keys)?);
    let webhooks = Webhooks { destinations: destinations.clone(), public_keys: keys.public().into() };
    let courier = Courier {
        settings: Arc::clone(settings),
        store: store.clone(),
        clock: Arc::clone(clock),
        dialer: Dialer::new(&settings.webhooks, destinations, Arc::clone(clock))?,
        keys,
        links: LinkBase::of(settings),
    };
    Ok((webhooks, courier::start(courier, broker.wakeups.subscribe(), shutdown)))
}
