//! One request and its answer. What is worth asking again is decided elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, Response, Url, redirect};
use serde_json::Value;

use crate::failure::Failure;

/// The largest answer that is read into memory, in bytes. Results are not: they go where they are wanted piece by piece.
const LARGEST_ANSWER: usize = 64 << 20;

/// Talks to one instance.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
    authorization: Option<HeaderValue>,
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
    /// Reads the whole of it.
    pub(crate) async fn read(mut response: Response) -> Result<Self, reqwest::Error> {
        let text = |name: &str| header(&response, name).map(str::to_owned);
        let retry_after = text("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let (status, etag) = (response.status().as_u16(), text("etag"));
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await? {
            if body.len() + part.len() > LARGEST_ANSWER {
                body.clear();
                break;
            }
            body.extend_from_slice(&part);
        }
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Self { status, retry_after, etag, json })
    }

    /// What an error says, in one line.
    pub(crate) fn problem(&self) -> String {
        let detail = self.json["detail"].as_str().or(self.json["title"].as_str()).unwrap_or("no details");
        format!("{}: {detail}", self.status)
    }
}

/// A header of an answer, if it is text.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

impl Client {
    /// `base`: such as `http://127.0.0.1:8080`.
    pub(crate) fn new(base: &str) -> Result<Self, Failure> {
        let base = base.trim_end_matches('/').to_owned();
        match Url::parse(&base).map(|url| url.scheme().to_owned()).as_deref() {
            Ok("http") => {}
            Ok("https") => {
                let why =
                    "https is not there yet: use http, from the machine itself or through a tunnel such as `ssh -L`";
                return Err(Failure::Usage(why.to_owned()));
            }
            _ => return Err(Failure::Usage(format!("{base:?} is not a URL such as http://127.0.0.1:8080"))),
        }
        raincheck_shared::tls::install();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            // A key goes where it was meant to go, and nowhere else.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Failure::because("the HTTP client could not be made", error))?;
        Ok(Self { base, http, authorization: None })
    }

    /// Shows this key with each request.
    pub(crate) fn with_key(mut self, key: &str) -> Result<Self, Failure> {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| Failure::Usage("the API key has characters that no key has".to_owned()))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
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
        Answer::read(self.open(Method::GET, path, headers, Bytes::new(), Some(patience)).await?).await
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
        Answer::read(self.open(Method::POST, path, &headers, json.to_string().into(), Some(patience)).await?).await
    }

    /// Sends anything; the answer's body is yet to be read. `patience`: for all of it, its body included.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
        patience: Option<Duration>,
    ) -> Result<Response, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(patience) = patience {
            request = request.timeout(patience);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send().await
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
