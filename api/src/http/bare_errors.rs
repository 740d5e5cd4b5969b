//! Answers to what never became a request: a head that is no HTTP, is too large, or does not arrive in time.
//!
//! Such an error is written by the framework below every handler, as a bare status with an empty body. Here, on its way
//! to the socket, it becomes a problem like any other. It is looked for only where an answer begins, so that it cannot be
//! mistaken for a part of somebody's result. What comes in one packet with a HEAD request keeps its bare status: where the
//! answer to that ends cannot be told before the next request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::MessageBody;
use actix_web::http::header::HeaderMap;
use raincheck_shared::lifecycle::IdSource;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answers_written::AnswersWritten;
use super::code::Code;
use super::every_request::{on_every_answer, vary};
use super::problem::Problem;
use super::progress::Progress;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection<Io> {
    io: Io,
    progress: Progress,
    answers: AnswersWritten,
    /// So many of the bytes that are to be written next have been looked at.
    seen: usize,
    bare: Bare,
}

/// The bare error behind what was looked at. The framework hangs up after one.
#[derive(Debug)]
enum Bare {
    /// There is none.
    None,
    /// It is there.
    Found,
    /// This much of the problem in its place was written.
    Replaced { by: Vec<u8>, written: usize },
}

impl<Io> Connection<Io> {
    /// A new connection.
    pub(crate) fn new(io: Io, progress: Progress) -> Self {
        Self { io, progress, answers: AnswersWritten::default(), seen: 0, bare: Bare::None }
    }

    /// What it is around.
    pub(crate) fn inner(&self) -> &Io {
        &self.io
    }

    /// Whether nothing is left to be written of what was given.
    pub(crate) fn is_all_written(&self) -> bool {
        self.seen == 0 && matches!(self.bare, Bare::None)
    }

    /// Looks at what is written next, and was not looked at before.
    fn look_at(&mut self, bytes: &[u8]) {
        let unseen = bytes.get(self.seen..).unwrap_or_default();
        if unseen.is_empty() || !matches!(self.bare, Bare::None) {
            return;
        }
        let bodiless = self.progress.is_bodiless();
        match self.answers.follow(unseen, bodiless, |head| bare_error(head).is_some()) {
            Some(before) => {
                self.seen += before;
                self.bare = Bare::Found;
            }
            None => self.seen = bytes.len(),
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The framework reads at the beginning of a turn only: what there was to be answered has been.
        if this.answers == AnswersWritten::Unknown && !this.progress.is_answering() && this.is_all_written() {
            this.answers = AnswersWritten::Head;
            this.progress.all_seen();
        }
        Pin::new(&mut this.io).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look_at(bytes);
        if let (Bare::Found, 0, Some(code)) = (&this.bare, this.seen, bare_error(bytes)) {
            this.bare = Bare::Replaced { by: problem(code), written: 0 };
        }
        if let Bare::Replaced { by, written } = &mut this.bare {
            while *written < by.len() {
                match ready!(Pin::new(&mut this.io).poll_write(cx, &by[*written..]))? {
                    0 => return Poll::Ready(Ok(0)),
                    count => *written += count,
                }
            }
            this.bare = Bare::None;
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, &bytes[..this.seen]))?;
        this.seen -= written;
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
    vary(response.headers_mut(), None, false);
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
    use actix_web::test::TestRequest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: x\r\n\r\n";

    async fn through(writes: &[&[u8]]) -> String {
        // Smaller than an answer, so that it takes several turns.
        let (near, mut far) = tokio::io::duplex(64);
        let writing = async {
            let mut connection = Connection::new(near, Progress::default());
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
        assert!(head.contains("\r\nvary: Authorization, Accept\r\n"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "malformed-request");
        assert!(head.contains(&format!("\r\nx-request-id: {}", body["request_id"].as_str().unwrap())), "{head}");
    }

    #[tokio::test]
    async fn so_does_one_behind_other_answers_in_the_same_write_or_in_the_next() {
        let answer = &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..];
        let chunks = &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"[..];
        let both = [answer, chunks].concat();
        for writes in [&[&*both, BARE][..], &[&[&both, BARE].concat()], &[answer, &[chunks, BARE].concat()]] {
            let said = through(writes).await;
            let rest = said.as_bytes().strip_prefix(&*both).unwrap();
            assert!(rest.starts_with(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"), "{said}");
            assert!(said.contains("\"malformed-request\""), "{said}");
        }
    }

    #[tokio::test]
    async fn a_body_passes_unchanged_whatever_it_looks_like() {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BARE.len());
        let said = through(&[head.as_bytes(), BARE]).await;
        assert_eq!(said.as_bytes(), [head.as_bytes(), BARE].concat());
        let both = [head.as_bytes(), BARE].concat();
        assert_eq!(through(&[&both]).await.as_bytes(), both);
    }

    #[tokio::test]
    async fn behind_the_answer_to_a_head_request_they_are_known_again_from_the_next_turn() {
        let (near, mut far) = tokio::io::duplex(4096);
        let progress = Progress::default();
        let mut connection = Connection::new(near, progress.clone());
        let request = TestRequest::default().method(actix_web::http::Method::HEAD);
        drop(progress.answer(&mut request.to_srv_request()));
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n";
        connection.write_all(&[&answer[..], BARE].concat()).await.unwrap();
        far.write_all(b"x").await.unwrap();
        connection.read_u8().await.unwrap();
        connection.write_all(BARE).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut said = String::new();
        far.read_to_string(&mut said).await.unwrap();
        let rest = said.as_bytes().strip_prefix(&*[&answer[..], BARE].concat()).unwrap();
        assert!(rest.starts_with(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"), "{said}");
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
