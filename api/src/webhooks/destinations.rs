//! Where deliveries may go: every address behind a URL is looked at, when a job is submitted and again before each attempt.
//! What is dialled is an address that was looked at in that very moment, so a name that means another one later gains
//! nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use raincheck_shared::config::WebhookSettings;
use raincheck_shared::domain::{AllowedReceiver, CallbackHost, CallbackUrl, TenantName, address_problem};
use tokio::time::timeout;

use super::lookups::{Lookups, Permit};

/// How long a submit, or an attempt, waits for a name; and before that for its turn to ask.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(3);

/// What systems say of a name that is nobody's or has no address (`EAI_NONAME`, `EAI_NODATA`), once they know. The standard
/// library keeps the text and not the number. Whatever else they say may be otherwise in a moment.
const NOBODY: [&str; 6] = [
    // glibc
    "Name or service not known",
    "No address associated with hostname",
    // musl
    "Name does not resolve",
    "Name has no usable address",
    // macOS
    "nodename nor servname provided, or not known",
    "No address associated with nodename",
];

/// Turns names into addresses.
#[async_trait]
pub(crate) trait Resolve: Send + Sync {
    /// All addresses of a name, with the port put to them. The permit is kept until whoever was asked is through with it.
    async fn resolve(&self, name: &str, port: u16, permit: Permit) -> io::Result<Vec<SocketAddr>>;
}

/// Asks the system.
#[derive(Debug)]
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str, port: u16, permit: Permit) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            // Kept until the system has answered, whoever waits for it.
            let _permit = permit;
            (name.as_str(), port).to_socket_addrs().map(Iterator::collect)
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// Why a URL is not called. A client reads it, so it says nothing of what names mean in here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DestinationError {
    /// In the clear.
    #[error("must start with https://: nothing is sent in the clear here")]
    Plain,
    /// The URL names an address.
    #[error("names an address that {0}")]
    Address(&'static str),
    /// The name means such an address.
    #[error("resolves to an address that {0}")]
    Resolved(&'static str),
    /// There is no such name.
    #[error("names a host that cannot be resolved")]
    Unresolved(#[source] Option<io::Error>),
    /// Nobody knows yet: there was no answer.
    #[error("names a host that could not be resolved within {} seconds", LOOKUP_PATIENCE.as_secs())]
    Silent,
    /// Nobody knows yet: those who were asked are in trouble themselves.
    #[error("names a host that cannot be resolved at the moment")]
    Unanswered(#[source] io::Error),
    /// Nobody was asked: the fault of other names, not of this one.
    #[error("names a host that was not looked up: too many others are being looked up")]
    Busy,
}

/// The rules, and who resolves names. Cloning shares the latter.
#[derive(Clone)]
pub(crate) struct Destinations {
    allow: Vec<AllowedReceiver>,
    allow_http: bool,
    resolver: Arc<dyn Resolve>,
    lookups: Lookups,
}

/// A URL whose turn it is to be looked at.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    url: &'a CallbackUrl,
    /// Where there is something to ask for.
    permit: Option<Permit>,
}

impl std::fmt::Debug for Destinations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destinations").field("allow", &self.allow).finish_non_exhaustive()
    }
}

impl Destinations {
    /// As configured.
    pub(crate) fn new(settings: &WebhookSettings, resolver: Arc<dyn Resolve>) -> Self {
        Self { allow: settings.allow.clone(), allow_http: settings.allow_http, resolver, lookups: Lookups::default() }
    }

    /// Looks at what can be told without resolving anything.
    pub(crate) fn check(&self, url: &CallbackUrl) -> Result<(), DestinationError> {
        if url.is_plain() && !self.allow_http {
            return Err(DestinationError::Plain);
        }
        match url.host() {
            CallbackHost::Address(address) => {
                let address = SocketAddr::new(*address, url.port());
                self.problem(address).map_or(Ok(()), |problem| Err(DestinationError::Address(problem)))
            }
            CallbackHost::Name(_) => Ok(()),
        }
    }

    /// Waits for a turn to ask what the name means, for a tenant. That is nothing that the receiver could do anything about.
    pub(crate) async fn visit<'a>(
        &self,
        url: &'a CallbackUrl,
        tenant: &TenantName,
    ) -> Result<Visit<'a>, DestinationError> {
        self.check(url)?;
        let permit = match url.host() {
            CallbackHost::Name(name) if !is_here(name) => {
                let permit = self.lookups.permit(name, tenant, LOOKUP_PATIENCE).await;
                Some(permit.ok_or(DestinationError::Busy)?)
            }
            CallbackHost::Name(_) | CallbackHost::Address(_) => None,
        };
        Ok(Visit { url, permit })
    }

    /// The addresses to dial, at least one. A name of which any address may not be called is not called at all.
    pub(crate) async fn addresses(&self, visit: Visit<'_>) -> Result<Vec<SocketAddr>, DestinationError> {
        let port = visit.url.port();
        let name = match visit.url.host() {
            CallbackHost::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            CallbackHost::Name(name) => name,
        };
        let found = if let Some(permit) = visit.permit {
            self.look_up(name, port, permit).await?
        } else {
            let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            here.map(|address| SocketAddr::new(address, port)).to_vec()
        };
        if found.is_empty() {
            return Err(DestinationError::Unresolved(None));
        }
        let trusted = self.allow.iter().any(|allowed| allowed.allows_name(name, port));
        match found.iter().filter(|_| !trusted).find_map(|address| self.problem(*address)) {
            Some(problem) => Err(DestinationError::Resolved(problem)),
            None => Ok(found),
        }
    }

    async fn look_up(&self, name: &str, port: u16, permit: Permit) -> Result<Vec<SocketAddr>, DestinationError> {
        let found = timeout(LOOKUP_PATIENCE, self.resolver.resolve(name, port, permit)).await;
        self.lookups.note(name, matches!(found, Ok(Ok(_))));
        let found = found.map_err(|_| DestinationError::Silent)?;
        found.map_err(|error| {
            if is_nobody(&error) {
                DestinationError::Unresolved(Some(error))
            } else {
                DestinationError::Unanswered(error)
            }
        })
    }

    fn problem(&self, address: SocketAddr) -> Option<&'static str> {
        let allowed = self.allow.iter().any(|allowed| allowed.allows_address(address.ip(), address.port()));
        if allowed { None } else { address_problem(address.ip()) }
    }
}

/// RFC 6761: this machine, whatever anybody else says; and no name server needs to know that it was asked for.
fn is_here(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether it says that there is no such name, for certain.
fn is_nobody(error: &io::Error) -> bool {
    let said = error.to_string();
    NOBODY.iter().any(|text| said.ends_with(text))
}
