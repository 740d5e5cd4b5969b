//! The body of a request on its way, and whether it still moves.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use crate::fault::Fault;

/// Small enough that each is soon gone over any line.
const PIECE: usize = 64 << 10;
/// What the system may hold of what was written and not sent yet: it holds about twice what is under way, which is little
/// on a slow line. Nobody sees it move.
const UNSEEN: usize = 1 << 20;
/// A line of a megabit.
const BYTES_PER_SECOND: usize = 128 << 10;

/// Gives a body out in pieces, each when there is room for it on the line.
#[derive(Debug)]
pub(crate) struct Upload {
    left: Bytes,
    moved: Moved,
}

/// When the latest piece was taken, and whether it was the last.
#[derive(Debug, Clone)]
pub(crate) struct Moved(Arc<Mutex<(Instant, bool)>>);

impl Upload {
    pub(crate) fn new(body: Bytes) -> (Self, Moved) {
        let moved = Moved(Arc::new(Mutex::new((Instant::now(), body.is_empty()))));
        (Self { left: body, moved: moved.clone() }, moved)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.left.len().min(PIECE);
        let piece = self.left.split_to(size);
        // A time and a flag have no half-done state.
        *self.moved.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), self.left.is_empty());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

impl Moved {
    /// What comes of `sent`, unless nothing moves for `patience`. `size`: of the body, in bytes.
    pub(crate) async fn watch<T>(
        &self,
        sent: impl Future<Output = T>,
        patience: Duration,
        size: usize,
    ) -> Result<T, Fault> {
        let unseen = Duration::from_secs((size.min(UNSEEN) / BYTES_PER_SECOND) as u64);
        let mut sent = std::pin::pin!(sent);
        loop {
            let (latest, all) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let end = latest + patience + if all { unseen } else { Duration::ZERO };
            if let Ok(answer) = timeout_at(end, &mut sent).await {
                return Ok(answer);
            }
            if self.0.lock().unwrap_or_else(PoisonError::into_inner).0 == latest {
                return Err(Fault::TimedOut(patience));
            }
        }
    }
}
