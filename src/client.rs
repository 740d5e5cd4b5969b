//! raincheck over HTTP, as its users see it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Method, Request, Url};
use serde_json::Value;

use crate::failure::Failure;

/// Talks to one instance.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

/// An answer with JSON in it, or with anything else.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Seconds.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) etag: Option<String>,
    /// Null when the body is no JSON.
    pub(crate) json: Value,
}

impl Answer {
    /// What an error says, in one line.
    pub(crate) fn problem(&self) -> String {
        let detail = self.json["detail"].as_str().or(self.json["title"].as_str()).unwrap_or("no details");
        format!("{}: {detail}", self.status)
    }
}

impl Client {
    /// `base`: such as `http://127.0.0.1:8080`.
    pub(crate) fn new(base: &str) -> Result<Self, Failure> {
        let base = base.trim_end_matches('/').to_owned();
        match Url::parse(&base).map(|url| url.scheme().to_owned()).as_deref() {
            Ok("http") => {}
            // TLS is for a proxy in front; this client is for what runs near.
            _ => return Err(Failure::Usage(format!("{base:?} is not a URL such as http://127.0.0.1:8080"))),
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .no_proxy()
            .build()
            .map_err(|error| Failure::because("the HTTP client could not be made", error))?;
        Ok(Self { base, http })
    }

    /// Where it talks to.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Reads.
    pub(crate) async fn get(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        patience: Duration,
    ) -> Result<Answer, reqwest::Error> {
        self.send(Method::GET, path, headers, String::new(), patience).await
    }

    /// Sends JSON.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        json: &Value,
        patience: Duration,
    ) -> Result<Answer, reqwest::Error> {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(Method::POST, path, &headers, json.to_string(), patience).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: String,
        patience: Duration,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(patience);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request: Request = request.body(body).build()?;
        let response = self.http.execute(request).await?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let retry_after = text("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let (status, etag) = (response.status().as_u16(), text("etag"));
        let json = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
        Ok(Answer { status, retry_after, etag, json })
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

    #[test]
    fn only_http_urls_are_taken() {
        assert!(Client::new("http://127.0.0.1:8080/").is_ok());
        for bad in ["127.0.0.1:8080", "https://host", "ftp://host", ""] {
            assert!(Client::new(bad).is_err(), "{bad}");
        }
    }
}
