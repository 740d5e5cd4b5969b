//! Where a webhook may go: which URLs are taken, and which addresses are refused.
//!
//! Pure: a name is resolved elsewhere, and every address that comes of it is shown to [`address_problem`].

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use url::{Host, Url};

/// The longest URL that is taken, in bytes.
const LONGEST: usize = 2_048;

/// A URL that can be called: `https` or `http`, with a host, and without a user, a password or a fragment. Whether raincheck
/// may call it here is a matter of its scheme, its host and of the addresses behind that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    url: Url,
    host: CallbackHost,
    port: u16,
}

/// Whom a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackHost {
    /// A name, in lower case and ASCII.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a URL is not taken, as a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCallbackUrl {
    /// Too long to be kept.
    #[error("must have at most {LONGEST} characters")]
    TooLong,
    /// Not a URL at all.
    #[error("is not a URL: {0}")]
    NotAUrl(String),
    /// Another scheme.
    #[error("must start with https://")]
    Scheme,
    /// Nobody to call.
    #[error("names no host")]
    NoHost,
    /// Credentials would end up in logs and in answers.
    #[error("must not hold a user or a password: deliveries are signed, so check the signature instead")]
    UserInfo,
    /// Nobody would receive it.
    #[error("must not have a fragment: it is never sent")]
    Fragment,
    /// `http://0x7f.1`, `http://2130706433`, `http://0177.0.0.1`: written so as not to be recognised.
    #[error("must name an address in the usual form, such as {0}")]
    OddAddress(Ipv4Addr),
    /// `https://127.0.0.1../`: no name server knows it, but what is left without its dots may be an address.
    #[error("names a host with nothing between two dots")]
    EmptyLabel,
    /// Port 0 is nobody's.
    #[error("must name a port from 1 to 65535")]
    Port,
}

impl CallbackUrl {
    /// The URL as it is called.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whether it is spoken in the clear.
    pub fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Whom it names.
    pub fn host(&self) -> &CallbackHost {
        &self.host
    }

    /// The port, the scheme's own when none is named.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host and, unless it is the scheme's own, the port: what a `Host` header says, and what deliveries to one receiver
    /// have in common.
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The path and the query, as they are asked for.
    pub fn target(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

impl FromStr for CallbackUrl {
    type Err = InvalidCallbackUrl;

    fn from_str(text: &str) -> Result<Self, InvalidCallbackUrl> {
        use InvalidCallbackUrl as Invalid;
        if text.len() > LONGEST {
            return Err(Invalid::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(Invalid::NotAUrl("it holds a space, a control character or a backslash".to_owned()));
        }
        let url = Url::parse(text).map_err(|error| Invalid::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Invalid::Scheme);
        }
        // Only by what was written can `https://@host` be told from `https://host`.
        let written = authority_of(text).filter(|written| !written.is_empty()).ok_or(Invalid::NoHost)?;
        if written.contains('@') || !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(Invalid::Fragment);
        }
        let host = match url.host() {
            Some(Host::Ipv4(address)) => {
                if written.split(':').next() != Some(address.to_string().as_str()) {
                    return Err(Invalid::OddAddress(address));
                }
                CallbackHost::Address(IpAddr::V4(address))
            }
            Some(Host::Ipv6(address)) => CallbackHost::Address(IpAddr::V6(address)),
            Some(Host::Domain(name)) if !name.trim_matches('.').is_empty() => {
                // The last dot is the root's.
                let name = name.strip_suffix('.').unwrap_or(name);
                if name.split('.').any(str::is_empty) {
                    return Err(Invalid::EmptyLabel);
                }
                CallbackHost::Name(name.to_owned())
            }
            _ => return Err(Invalid::NoHost),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(Invalid::Port)?;
        if url.as_str().len() > LONGEST {
            return Err(Invalid::TooLong);
        }
        Ok(Self { url, host, port })
    }
}

impl fmt::Display for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands between `//` and the path.
fn authority_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// Networks that are not the public internet, and what they are.
const NOT_PUBLIC_V4: [([u8; 4], u32, &str); 15] = [
    ([0, 0, 0, 0], 8, "is no address of any host"),
    ([10, 0, 0, 0], 8, "is private"),
    ([100, 64, 0, 0], 10, "is behind a carrier's NAT"),
    ([127, 0, 0, 0], 8, "is this machine"),
    ([169, 254, 0, 0], 16, "is link-local, where clouds keep their metadata"),
    ([172, 16, 0, 0], 12, "is private"),
    ([192, 0, 0, 0], 24, "is reserved"),
    ([192, 0, 2, 0], 24, "is for documents"),
    ([192, 88, 99, 0], 24, "is reserved"),
    ([192, 168, 0, 0], 16, "is private"),
    ([198, 18, 0, 0], 15, "is for measurements"),
    ([198, 51, 100, 0], 24, "is for documents"),
    ([203, 0, 113, 0], 24, "is for documents"),
    ([224, 0, 0, 0], 4, "is multicast"),
    ([240, 0, 0, 0], 4, "is reserved"),
];

/// The same within `2000::/3`, beyond which nothing is public.
const NOT_PUBLIC_V6: [(u128, u32, &str); 3] = [
    // Teredo, which carries an IPv4 address, ORCHID and their like.
    (0x2001_0000 << 96, 23, "is reserved"),
    (0x2001_0db8 << 96, 32, "is for documents"),
    (0x3fff_0000 << 96, 20, "is for documents"),
];

/// Why a webhook does not go to an address, as a sentence about it; `None`: it is public.
pub fn address_problem(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => problem_v4(address),
        IpAddr::V6(address) => problem_v6(address),
    }
}

fn problem_v4(address: Ipv4Addr) -> Option<&'static str> {
    let found = NOT_PUBLIC_V4.iter().find(|(network, prefix, _)| {
        let mask = u32::MAX << (32 - prefix);
        address.to_bits() & mask == u32::from_be_bytes(*network)
    });
    found.map(|(_, _, why)| *why)
}

fn problem_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    // The low half-word pairs: where transition mechanisms put an IPv4 address.
    let embedded = |shift: u32| Ipv4Addr::from_bits(u32::try_from(bits >> shift & 0xffff_ffff).unwrap_or_default());
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("is no address of any host"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("is this machine"),
        [0, 0, 0, 0, 0, 0xffff, ..] => Some("is an IPv4 address in disguise"),
        // NAT64: reaches the IPv4 address within.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => problem_v4(embedded(0)),
        [0xfe80..=0xfebf, ..] => Some("is link-local"),
        [0xfc00..=0xfdff, ..] => Some("is private"),
        [0xff00..=0xffff, ..] => Some("is multicast"),
        // 6to4, the same.
        [0x2002, ..] => problem_v4(embedded(80)),
        [0x2000..=0x3fff, ..] => {
            let found =
                NOT_PUBLIC_V6.iter().find(|(network, prefix, _)| bits & (u128::MAX << (128 - prefix)) == *network);
            found.map(|(_, _, why)| *why)
        }
        _ => Some("is reserved"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_taken_apart_as_it_will_be_called() {
        let url: CallbackUrl = "HTTPS://Hooks.Example.COM:8443/a%20b?x=1".parse().unwrap();
        assert_eq!(url.as_str(), "https://hooks.example.com:8443/a%20b?x=1");
        assert_eq!(url.host(), &CallbackHost::Name("hooks.example.com".to_owned()));
        assert_eq!((url.port(), url.authority(), url.target()), (8443, "hooks.example.com:8443", "/a%20b?x=1"));
        assert!(!url.is_plain());
        let url: CallbackUrl = "http://bücher.example".parse().unwrap();
        assert_eq!((url.port(), url.authority(), url.target()), (80, "xn--bcher-kva.example", "/"));
        assert!(url.is_plain());
    }

    #[test]
    fn what_cannot_be_called_or_hides_something_is_refused() {
        use InvalidCallbackUrl as Invalid;
        for bad in ["", "example.com", "//example.com", "https://", "https:///x", "https://a b/", "https://a\\b"] {
            assert!(bad.parse::<CallbackUrl>().is_err(), "{bad}");
        }
        for bad in ["ftp://example.com", "file:///etc/passwd", "gopher://example.com", "unix:/run/x"] {
            assert_eq!(bad.parse::<CallbackUrl>(), Err(Invalid::Scheme), "{bad}");
        }
        for bad in
            ["https://me@example.com", "https://me:pw@example.com", "https://@example.com", "https://:@a.example"]
        {
            assert_eq!(bad.parse::<CallbackUrl>(), Err(Invalid::UserInfo), "{bad}");
        }
        assert_eq!("https://example.com/#x".parse::<CallbackUrl>(), Err(Invalid::Fragment));
        for bad in ["https://127.0.0.1../", "https://a..example/", "https://.example.com/", "https://example.com../x"] {
            assert_eq!(bad.parse::<CallbackUrl>(), Err(Invalid::EmptyLabel), "{bad}");
        }
        let rooted: CallbackUrl = "https://example.com./x".parse().unwrap();
        assert_eq!(rooted.host(), &CallbackHost::Name("example.com".to_owned()));
        assert_eq!("https://example.com:0/".parse::<CallbackUrl>(), Err(Invalid::Port));
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        assert_eq!(long.parse::<CallbackUrl>(), Err(Invalid::TooLong));
    }

    #[test]
    fn an_address_that_is_written_oddly_is_refused_whatever_it_is() {
        for bad in [
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://134744072/",
            "https://①②⑦.0.0.1/",
            "https://8.8.8.8./",
        ] {
            let refused = bad.parse::<CallbackUrl>();
            assert!(matches!(refused, Err(InvalidCallbackUrl::OddAddress(_))), "{bad}: {refused:?}");
        }
        assert!("https://8.8.8.8:444/".parse::<CallbackUrl>().is_ok());
    }

    #[test]
    fn only_public_addresses_have_no_problem() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::a00:1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(address_problem(bad.parse().unwrap()).is_some(), "{bad}");
        }
        for good in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2002:808:808::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(address_problem(good.parse().unwrap()), None, "{good}");
        }
    }

    proptest! {
        /// Whatever is taken reads as itself again, and calls what it shows.
        #[test]
        fn what_is_taken_is_canonical(text in "(https?://)?[ -~]{0,60}") {
            if let Ok(url) = text.parse::<CallbackUrl>() {
                prop_assert_eq!(url.as_str().parse::<CallbackUrl>(), Ok(url.clone()));
                prop_assert!(url.as_str().contains(url.authority()) && url.target().starts_with('/'));
            }
        }
    }
}
