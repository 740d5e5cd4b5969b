//! How an instance is reached: the client crate, set up for people at a terminal.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use raincheck_client::{Client, ClientBuilder, Request};
use serde::Deserialize;

use crate::failure::Failure;

/// A client in the making for what listens at this URL, such as `http://127.0.0.1:8080`. `authority`: a file of
/// certificates in PEM, trusted besides those that browsers trust.
pub(crate) fn connect(url: &str, key: Option<&str>, authority: Option<&Path>) -> Result<ClientBuilder, Failure> {
    let mut builder = Client::builder(url).user_agent(concat!("raincheck/", env!("CARGO_PKG_VERSION")));
    if let Some(key) = key {
        builder = builder.api_key(key);
    }
    if let Some(file) = authority {
        let pem = std::fs::read(file)
            .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))?;
        builder = builder.authority(pem);
    }
    Ok(builder)
}

/// Whether an instance at this URL says within `patience` that it is ready.
pub(crate) async fn is_ready(url: &str, patience: Duration) -> bool {
    matches!(standing(url, patience).await, Some(Standing::Ready(_)))
}

/// What an instance at this URL says of itself within `patience`; `None`: no raincheck does.
pub(crate) async fn standing(url: &str, patience: Duration) -> Option<Standing> {
    let answer = Client::new(url).ok()?.open(&Request::get("/readyz"), patience).await.ok()?;
    let status = answer.status;
    let answer = answer.whole(64 * 1024, patience).await.ok()?;
    match status {
        200 => answer.json().ok().map(Standing::Ready),
        503 => {
            // Anybody may answer 503.
            let is_known = |unready: &Unready| matches!(&*unready.code, "store-unavailable" | "shutting-down");
            answer.json().ok().filter(is_known).map(|unready| Standing::Unready(unready.detail))
        }
        _ => None,
    }
}

/// How an instance is.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It takes jobs.
    Ready(Readiness),
    /// It does not, and this is why.
    Unready(String),
}

/// The problem that `GET /readyz` answers with then.
#[derive(Debug, Deserialize)]
struct Unready {
    code: String,
    detail: String,
}

/// The answer to `GET /readyz`, as far as it says what is in trouble.
#[derive(Debug, Deserialize)]
pub(crate) struct Readiness {
    broker: String,
    loops: BTreeMap<String, String>,
}

impl Readiness {
    /// What is in trouble, which costs latency, never a job: the broker, and loops of upkeep.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = &str> {
        let parts = self.loops.iter().map(|(name, state)| (name.as_str(), state));
        [("the broker", &self.broker)]
            .into_iter()
            .chain(parts)
            .filter(|(_, state)| *state != "ok")
            .map(|(name, _)| name)
    }
}

/// How to reach what listens here: from this machine, when it listens on all addresses.
pub(crate) fn base_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_on_loopback() {
        for (listen, url) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("10.0.0.1:8080", "http://10.0.0.1:8080"),
        ] {
            assert_eq!(base_url(listen.parse().unwrap()), url);
        }
    }
}
