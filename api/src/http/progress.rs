//! What a connection is doing, as its socket and its requests see it together: the framework tells neither.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::web::Bytes;

/// What a connection is doing. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    doing: Cell<Doing>,
    /// Of the answers that were not looked at yet one may have no body, whatever length it says.
    bodiless: Cell<bool>,
    /// The last bytes that came.
    last: Cell<[u8; 3]>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Doing {
    /// Nothing has come since the last answer.
    #[default]
    Nothing,
    /// Something has come that is no request yet.
    Hearing,
    /// A request was passed on, and is being answered.
    Answering,
}

impl Progress {
    /// Bytes have come. While a request is being answered they may be its body, or wait for their turn.
    pub(super) fn heard(&self, bytes: &[u8]) {
        if self.0.doing.get() == Doing::Nothing {
            self.0.doing.set(Doing::Hearing);
        }
        let mut last = self.0.last.get();
        for byte in &bytes[bytes.len().saturating_sub(last.len())..] {
            last = [last[1], last[2], *byte];
        }
        self.0.last.set(last);
    }

    /// What came ended with an empty line, as heads do.
    fn is_at_an_end(&self) -> bool {
        matches!(self.0.last.get(), [b'\n', b'\r', b'\n'] | [_, b'\n', b'\n'])
    }

    /// Forgets what was heard.
    pub(super) fn give_up(&self) {
        self.0.doing.set(Doing::Nothing);
    }

    /// Something has come that is no request yet.
    pub(super) fn is_hearing(&self) -> bool {
        self.0.doing.get() == Doing::Hearing
    }

    /// A request is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.0.doing.get() == Doing::Answering
    }

    /// One of the answers may have no body, whatever length it says.
    pub(super) fn is_bodiless(&self) -> bool {
        self.0.bodiless.get()
    }

    /// All answers were looked at.
    pub(super) fn all_seen(&self) {
        self.0.bodiless.set(false);
    }

    /// A request has come, its head whole, and is being answered for as long as what this returns is there.
    pub(super) fn answer(&self, request: &mut ServiceRequest) -> Answering {
        if request.method() == Method::HEAD {
            self.0.bodiless.set(true);
        }
        self.begin(!matches!(request.parts_mut().1, Payload::None))
    }

    fn begin(&self, has_body: bool) -> Answering {
        self.0.doing.set(Doing::Answering);
        Answering { progress: self.clone(), has_body }
    }
}

/// A request is being answered.
#[derive(Debug)]
pub(super) struct Answering {
    progress: Progress,
    has_body: bool,
}

impl Answering {
    /// Goes on until a body was sent. One that is in memory already is handed over at once, and needs no watching.
    pub(super) fn until_sent(self, body: BoxBody) -> BoxBody {
        if matches!(body.size(), BodySize::None | BodySize::Sized(0)) {
            return body;
        }
        match body.try_into_bytes() {
            Ok(bytes) => BoxBody::new(bytes),
            Err(body) => BoxBody::new(Sending { body, _answering: self }),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Behind a head that has no body comes the next: it has begun, unless all that came ends with this one. Where there
        // was a body, how it ends tells nothing.
        let next = if self.has_body || self.progress.is_at_an_end() { Doing::Nothing } else { Doing::Hearing };
        self.progress.0.doing.set(next);
    }
}

/// A body that is sent piece by piece.
struct Sending {
    body: BoxBody,
    _answering: Answering,
}

impl MessageBody for Sending {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn heard(progress: &Progress, bytes: &str) -> bool {
        progress.heard(bytes.as_bytes());
        progress.is_hearing()
    }

    #[test]
    fn a_head_that_begins_behind_a_request_in_its_packet_is_heard_once_that_is_answered() {
        let progress = Progress::default();
        for request in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n"] {
            for (behind, is_heard) in [("", false), ("G", true), ("GET / HTTP/1.1\r\n", true)] {
                assert!(heard(&progress, &format!("{request}{behind}")));
                let answering = progress.begin(false);
                assert!(!progress.is_hearing() && progress.is_answering());
                drop(answering);
                assert_eq!(progress.is_hearing(), is_heard, "{behind:?}");
                progress.give_up();
            }
        }
    }

    #[test]
    fn what_comes_while_a_request_is_answered_may_be_its_body() {
        let progress = Progress::default();
        let answering = progress.begin(true);
        assert!(!heard(&progress, "a body"));
        drop(answering);
        assert!(!progress.is_hearing() && !progress.is_answering());
        for byte in ["\r", "\n", "\r", "\n"] {
            heard(&progress, byte);
        }
        drop(progress.begin(false));
        assert!(!progress.is_hearing());
    }

    #[test]
    fn a_body_is_watched_until_it_was_sent_unless_it_is_there_already() {
        let progress = Progress::default();
        let mut request = TestRequest::default().to_srv_request();
        let body = progress.answer(&mut request).until_sent(BoxBody::new("all of it"));
        assert!(!progress.is_answering() && body.try_into_bytes().is_ok());
        let pieces = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let pieces = BoxBody::new(actix_web::body::BodyStream::new(pieces));
        let body = progress.answer(&mut request).until_sent(pieces);
        assert!(progress.is_answering() && !progress.is_bodiless());
        drop(body);
        assert!(!progress.is_answering());
        drop(progress.answer(&mut TestRequest::default().method(Method::HEAD).to_srv_request()));
        assert!(progress.is_bodiless());
    }
}
