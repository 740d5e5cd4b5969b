//! Chunked bodies that are answered before their end.
//!
//! What is left of a body after its answer has to be read by somebody, or the next request on the connection is never
//! seen. Where a length was announced, the framework says `connection: close`, reads on for a while and hangs up. Where
//! none was, it means to read the rest, however long that is, and keep the connection; but if its buffers were full when
//! the handler let go of the body, nothing wakes it any more, and the connection hangs for good. So such a body is not let
//! go of before the answer is written: then the framework treats it as it treats the others.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::web::Bytes;
use futures_util::Stream;

/// A body without an announced length that somebody may not read to its end.
pub(crate) struct UnreadBody(Rc<RefCell<Incoming>>);

struct Incoming {
    payload: Payload,
    /// Its end was seen, or that it has none.
    over: bool,
}

impl UnreadBody {
    /// Watches over the body of a request; `None`: its length was announced, or it has none.
    pub(crate) fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(TRANSFER_ENCODING) {
            return None;
        }
        let incoming = Rc::new(RefCell::new(Incoming { payload: request.take_payload(), over: false }));
        let payload = Box::pin(Watched(Rc::clone(&incoming)));
        request.set_payload(Payload::Stream { payload });
        Some(Self(incoming))
    }

    /// Holds on to what was not read until the answer is written.
    pub(crate) fn until_written(self, answer: BoxBody) -> BoxBody {
        if self.0.borrow().over {
            return answer;
        }
        BoxBody::new(Holding { answer, _body: self })
    }
}

/// What the handler reads.
struct Watched(Rc<RefCell<Incoming>>);

impl Stream for Watched {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut incoming = self.0.borrow_mut();
        let part = ready!(Pin::new(&mut incoming.payload).poll_next(cx));
        incoming.over = !matches!(part, Some(Ok(_)));
        Poll::Ready(part)
    }
}

/// An answer, and the body of its request.
struct Holding {
    answer: BoxBody,
    _body: UnreadBody,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().answer).poll_next(cx)
    }
}
