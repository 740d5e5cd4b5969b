//! A request, which can be sent as often as needed, and its answer.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::fault::Fault;
use crate::retry::retry_after;

/// What to ask of the API: a path below the base URL, and what goes with it.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Request {
    /// `path`: such as `/v1/kinds`, with its query.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }

    /// Reads.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Sends a body.
    pub fn post(path: impl Into<String>, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut request = Self::new(Method::POST, path).header("content-type", content_type);
        request.body = body.into();
        request
    }

    /// Puts a body there.
    pub fn put(path: impl Into<String>, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { method: Method::PUT, ..Self::post(path, content_type, body) }
    }

    /// Takes away.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// With one header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Request {
    /// Without the body, which may be large, and nobody's to see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} with {} bytes", self.method, self.path, self.body.len())
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// All of them.
    pub headers: HeaderMap,
    /// As it came.
    pub body: Bytes,
}

impl Answer {
    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, parsed.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// `Retry-After`, given in seconds or as a date.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.header("retry-after")?)
    }

    /// The JSON of an answer that should have some.
    pub(crate) fn document(&self) -> Result<Value, Fault> {
        self.json().map_err(|_| self.garbled())
    }

    /// It came, but not from raincheck: a page of a proxy, half a document.
    pub(crate) fn garbled(&self) -> Fault {
        const SHOWN: usize = 120;
        let kind = self.header(CONTENT_TYPE.as_str()).unwrap_or("no media type");
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN)]);
        Fault::Garbled {
            status: self.status,
            what: format!("{} with {kind} is no answer of raincheck: {start:?}", self.status),
        }
    }
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct OpenAnswer {
    /// HTTP's.
    pub status: u16,
    /// All of them.
    pub headers: HeaderMap,
    body: Incoming,
}

impl OpenAnswer {
    pub(crate) fn new(response: hyper::Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next bytes of the body; `None` at its end. An error also when it ends before its time, or when nothing comes
    /// for `silence`.
    pub async fn piece(&mut self, silence: Duration) -> Result<Option<Bytes>, crate::Error> {
        Ok(self.next(silence).await?)
    }

    pub(crate) async fn next(&mut self, silence: Duration) -> Result<Option<Bytes>, Fault> {
        loop {
            let frame = timeout(silence, self.body.frame()).await.map_err(|_| Fault::TimedOut(silence))?;
            match frame.transpose().map_err(|error| Fault::Connection(error.into()))?.map(hyper::body::Frame::into_data)
            {
                None => return Ok(None),
                Some(Ok(bytes)) => return Ok(Some(bytes)),
                // Trailers say nothing that is needed.
                Some(Err(_)) => {}
            }
        }
    }

    /// All of it, unless that is more than `largest` bytes. `silence`: the longest pause within.
    pub async fn whole(self, largest: usize, silence: Duration) -> Result<Answer, crate::Error> {
        Ok(self.all(largest, silence).await?)
    }

    pub(crate) async fn all(mut self, largest: usize, silence: Duration) -> Result<Answer, Fault> {
        let mut body = Vec::new();
        while let Some(bytes) = self.next(silence).await? {
            if body.len() + bytes.len() > largest {
                return Err(Fault::Connection("the answer is too long to be one of raincheck's".into()));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(Answer { status: self.status, headers: self.headers, body: body.into() })
    }
}

/// A text as it can stand in a path or a query.
pub fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
            encoded.extend(['%', digits[0], digits[1]]);
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_through_a_query_whole() {
        assert_eq!(encode("a b&c=ü/%"), "a%20b%26c%3D%C3%BC%2F%25");
    }
}
