//! By which names the API may be asked while nobody has to show a key.
//!
//! A browser takes a page for one of the API's own when both have the same name and port. So whoever owns a name can have it
//! lead to an API on loopback once their page is loaded (DNS rebinding), and that page may then ask for anything. Its name
//! stands in `Host`, which no page can change, and is none of the API's. An address is nobody's to redirect, and `localhost`
//! is looked up by no browser. Where keys are needed the name does not matter: such a page has none.

use std::net::{Ipv4Addr, Ipv6Addr};

use actix_web::http::header::{HOST, HeaderMap};
use actix_web::http::uri::{Authority, Uri};
use raincheck_shared::config::HttpSettings;

use super::code::Code;
use super::problem::Problem;

/// The names.
#[derive(Debug, Clone)]
pub(crate) struct OwnHosts {
    /// In lower case; `*`: all.
    names: Vec<String>,
    /// Whether it listens for others on purpose. They know it by the name of a container or a machine, and a name without a
    /// dot is nobody's in the public DNS.
    is_on_a_network: bool,
}

impl OwnHosts {
    /// As configured.
    pub(crate) fn of(settings: &HttpSettings) -> Self {
        let hosts = settings.public_url.iter().chain(&settings.allowed_origins).filter_map(|url| {
            // All pages may do all that they could do in this way.
            if url == "*" { Some(url.clone()) } else { Some(url.parse::<Uri>().ok()?.host()?.to_ascii_lowercase()) }
        });
        let names = hosts.chain(settings.allowed_hosts.iter().cloned()).collect();
        Self { names, is_on_a_network: !settings.listen.ip().is_loopback() }
    }

    /// Refuses a request that was sent to a name of somebody else's. One without any comes from no browser.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let is_own = |host: &str| host.parse::<Authority>().is_ok_and(|authority| self.has(authority.host()));
        if headers.get_all(HOST).all(|host| host.to_str().is_ok_and(is_own)) {
            return Ok(());
        }
        Err(Problem::new(
            Code::HostNotAllowed,
            "while nobody has to show a key, this name of the API has to be listed in http.allowed_hosts",
        ))
    }

    fn has(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let in_brackets = || host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<Ipv4Addr>().is_ok()
            || in_brackets().is_some()
            || self.is_on_a_network && !host.contains('.')
            || self.names.iter().any(|name| name == "*" || *name == host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str], is_on_a_network: bool) -> OwnHosts {
        OwnHosts { names: names.iter().map(|name| (*name).to_owned()).collect(), is_on_a_network }
    }

    #[test]
    fn addresses_and_localhost_are_own_and_so_are_listed_names() {
        let own = hosts(&["jobs.internal"], false);
        for host in ["127.0.0.1", "192.168.1.2", "[::1]", "localhost", "LocalHost", "app.localhost", "jobs.internal"] {
            assert!(own.has(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "a.jobs.internal",
            "api",
            "[evil.example]",
            "1",
            "",
        ] {
            assert!(!own.has(host), "{host}");
        }
        assert!(hosts(&["*"], false).has("evil.example"));
    }

    #[test]
    fn on_a_network_names_of_neighbours_are_own() {
        let own = hosts(&[], true);
        assert!(own.has("api") && own.has("raincheck_api-1"));
        assert!(!own.has("api.evil.example") && !own.has("api."));
    }
}
