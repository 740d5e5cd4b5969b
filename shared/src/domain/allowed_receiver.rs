//! Receivers that are not on the public internet, and that whoever runs raincheck allows by name.

use core::net::IpAddr;
use core::str::FromStr;

/// One that is allowed: a host, an address, or a network of them, each with one port or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedReceiver {
    who: Who,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// A name in lower case: whatever it resolves to.
    Name(String),
    Network {
        address: IpAddr,
        prefix: u32,
    },
}

/// A text that allows nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no host, host:port, address or network, such as \"hooks.internal\", \"10.1.2.3:8080\" or \"10.1.0.0/16\""
)]
pub struct InvalidAllowedReceiver(String);

impl AllowedReceiver {
    /// Whether a host of this name is trusted, whatever addresses it has.
    pub fn allows_name(&self, name: &str, port: u16) -> bool {
        self.allows_port(port) && matches!(&self.who, Who::Name(allowed) if *allowed == name)
    }

    /// Whether an address is trusted.
    pub fn allows_address(&self, asked: IpAddr, port: u16) -> bool {
        let Who::Network { address, prefix } = self.who else { return false };
        let same = match (address, asked) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= prefix,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= prefix,
            _ => false,
        };
        same && self.allows_port(port)
    }

    fn allows_port(&self, port: u16) -> bool {
        self.port.is_none_or(|allowed| allowed == port)
    }
}

impl core::fmt::Display for AllowedReceiver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.who {
            Who::Name(name) => f.write_str(name)?,
            Who::Network { address: address @ IpAddr::V6(_), prefix: 128 } if self.port.is_some() => {
                write!(f, "[{address}]")?;
            }
            Who::Network { address, prefix } if *prefix == bits(*address) => write!(f, "{address}")?,
            Who::Network { address, prefix } => write!(f, "{address}/{prefix}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

const fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn network(text: &str) -> Option<Who> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse().ok()?)),
        None => (text.parse().ok()?, None),
    };
    let prefix = prefix.unwrap_or(bits(address));
    (prefix <= bits(address)).then_some(Who::Network { address, prefix })
}

fn name(text: &str) -> Option<Who> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    // A name that ends in a number is an address written oddly, which no URL may hold.
    let odd = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let is_name =
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= 253 && text.chars().all(allowed);
    (is_name && !odd).then(|| Who::Name(text.to_ascii_lowercase()))
}

impl FromStr for AllowedReceiver {
    type Err = InvalidAllowedReceiver;

    fn from_str(text: &str) -> Result<Self, InvalidAllowedReceiver> {
        let invalid = || InvalidAllowedReceiver(text.chars().take(80).collect());
        if let Some(who) = network(text) {
            return Ok(Self { who, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?)),
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let who = match bare {
            Some(inner) => network(inner).filter(|_| !inner.contains('/')),
            None if host.contains(':') => None,
            None => network(host).or_else(|| name(host)),
        };
        who.map(|who| Self { who, port }).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> AllowedReceiver {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_allowed_with_its_port_or_with_any() {
        assert!(allowed("Hooks.Internal").allows_name("hooks.internal", 443));
        assert!(allowed("hooks.internal:8443").allows_name("hooks.internal", 8443));
        assert!(!allowed("hooks.internal:8443").allows_name("hooks.internal", 443));
        assert!(!allowed("hooks.internal").allows_name("x.hooks.internal", 443));
        assert!(!allowed("10.0.0.0/8").allows_name("10.0.0.1", 443));
    }

    #[test]
    fn a_network_allows_the_addresses_in_it() {
        let ip = |text: &str| text.parse().unwrap();
        assert!(allowed("10.1.0.0/16").allows_address(ip("10.1.255.3"), 80));
        assert!(!allowed("10.1.0.0/16").allows_address(ip("10.2.0.0"), 80));
        assert!(allowed("127.0.0.1:9000").allows_address(ip("127.0.0.1"), 9000));
        assert!(!allowed("127.0.0.1:9000").allows_address(ip("127.0.0.1"), 9001));
        assert!(!allowed("127.0.0.1:9000").allows_address(ip("127.0.0.2"), 9000));
        assert!(allowed("[::1]:9000").allows_address(ip("::1"), 9000));
        assert!(allowed("fd00::/8").allows_address(ip("fd12::1"), 1));
        assert!(allowed("0.0.0.0/0").allows_address(ip("1.2.3.4"), 1));
        assert!(!allowed("0.0.0.0/0").allows_address(ip("::1"), 1));
    }

    #[test]
    fn what_allows_nobody_is_refused_and_the_rest_prints_as_it_reads() {
        for bad in
            ["", ":80", "a b", "10.0.0.0/33", "::/129", "1.2.3", "host:0", "host:x", "*.example", "http://a", "[::1"]
        {
            assert!(bad.parse::<AllowedReceiver>().is_err(), "{bad}");
        }
        for good in ["a.b", "a:1", "1.2.3.4", "1.2.3.4:5", "1.2.3.0/24", "::1", "[::1]:5", "fd00::/8", "1.2.3.0/24:443"]
        {
            assert_eq!(allowed(good).to_string(), good);
        }
    }
}
