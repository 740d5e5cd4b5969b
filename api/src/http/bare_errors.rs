//! Answers to what never became a request: a head that is no HTTP, is too large, or does not arrive in time.
//!
//! Such an error is written by the framework below every handler, as a bare status with an empty body. Here, on its way
//! to the socket, it becomes a problem like any other. Only what is written *first* on a connection is looked at: there
//! it cannot be mistaken for a part of somebody's result. Later on a connection the bare status stays as it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::MessageBody;
use actix_web::http::header::HeaderMap;
use raincheck_shared::lifecycle::IdSource;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::code::Code;
use super::every_request::on_every_answer;
use super::problem::Problem;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection<Io> {
    io: Io,
    first: First,
}

/// What has become of the first thing that was written.
#[derive(Debug)]
enum First {
    /// Nothing was written yet.
    Awaited,
    /// It was a bare error; this much of the problem in its place was written.
    Replaced { by: Vec<u8>, written: usize },
    /// It was written, one way or the other.
    Over,
}

impl<Io> Connection<Io> {
    /// A new connection.
    pub(crate) fn new(io: Io) -> Self {
        Self { io, first: First::Awaited }
    }

    /// What it is around.
    pub(crate) fn inner(&self) -> &Io {
        &self.io
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let (First::Awaited, Some(code)) = (&this.first, bare_error(bytes)) {
            this.first = First::Replaced { by: problem(code), written: 0 };
        }
        if let First::Replaced { by, written } = &mut this.first {
            while *written < by.len() {
                match ready!(Pin::new(&mut this.io).poll_write(cx, &by[*written..]))? {
                    0 => return Poll::Ready(Ok(0)),
                    count => *written += count,
                }
            }
            this.first = First::Over;
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.first = First::Over;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// Whether these bytes are a whole answer of an error without a body. Ours always have one.
fn bare_error(bytes: &[u8]) -> Option<Code> {
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let mut fields = head.split("\r\n").skip(1);
    if head.contains("\r\n\r\n") || !fields.any(|field| field.eq_ignore_ascii_case("content-length: 0")) {
        return None;
    }
    match status {
        "408" => Some(Code::RequestTimeout),
        "400" | "431" => Some(Code::MalformedRequest),
        _ => None,
    }
}

fn problem(code: Code) -> Vec<u8> {
    let detail = match code {
        Code::RequestTimeout => "the head of the request did not arrive in time",
        // The framework does not say which.
        _ => {
            "this is not HTTP/1.1, or has not one Host, or several Content-Length or one beside Transfer-Encoding, or what is not \
             ASCII in its path, or a head of more than 128 KiB or 96 headers"
        }
    };
    let id = IdSource.random().to_string();
    let mut response = Problem::new(code, detail).respond("/", &id);
    on_every_answer(response.headers_mut(), &id);
    let status = response.status();
    let mut written = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
    write_fields(&mut written, response.headers());
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    written.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    written.extend_from_slice(&body);
    written
}

fn write_fields(written: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields {
        written.extend_from_slice(name.as_str().as_bytes());
        written.extend_from_slice(b": ");
        written.extend_from_slice(value.as_bytes());
        written.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: x\r\n\r\n";

    async fn through(writes: &[&[u8]]) -> String {
        // Smaller than an answer, so that it takes several turns.
        let (near, mut far) = tokio::io::duplex(64);
        let writing = async {
            let mut connection = Connection::new(near);
            for write in writes {
                connection.write_all(write).await.unwrap();
            }
            connection.shutdown().await.unwrap();
        };
        let mut said = String::new();
        let ((), read) = futures_util::future::join(writing, far.read_to_string(&mut said)).await;
        read.unwrap();
        said
    }

    #[tokio::test]
    async fn a_bare_error_becomes_a_problem_of_the_length_it_says() {
        let said = through(&[BARE]).await;
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        assert!(head.contains("\r\ncontent-type: application/problem+json\r\n"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "malformed-request");
        assert!(head.contains(&format!("\r\nx-request-id: {}", body["request_id"].as_str().unwrap())), "{head}");
    }

    #[tokio::test]
    async fn what_follows_an_answer_passes_unchanged_whatever_it_looks_like() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 61\r\n\r\n";
        let said = through(&[answer, BARE]).await;
        assert_eq!(said.as_bytes(), [answer, BARE].concat());
    }

    #[test]
    fn only_a_whole_answer_without_a_body_is_bare() {
        assert!(bare_error(BARE).is_some());
        for other in [
            &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n"[..],
            b"HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"",
        ] {
            assert!(bare_error(other).is_none(), "{:?}", String::from_utf8_lossy(other));
        }
    }
}
