//! Hangs up on clients that begin a request and do not come to the end of its head. The framework waits so for the first
//! request of a connection only; for the others it would wait for ever, as it takes whatever comes for a sign of life.
//!
//! Time runs while something has come and no request is being answered; where that cannot be told, which is when a head
//! begins in the packet in which a body ends, from when more of it comes. Until then the connection counts as idle.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::bare_errors::Connection;
use super::progress::Progress;

/// In the framework's own words, so that it is told as a problem.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A connection on which heads may be awaited for a while only.
#[derive(Debug)]
pub(crate) struct PatientHeads<Io> {
    io: Connection<Io>,
    progress: Progress,
    patience: Duration,
    /// Runs while a head is not there as a whole. Most come as one, and need none.
    awaited: Option<Pin<Box<Sleep>>>,
}

impl<Io> PatientHeads<Io> {
    /// Gives up when what came is no request after as long as `patience`.
    pub(crate) fn new(io: Connection<Io>, progress: Progress, patience: Duration) -> Self {
        Self { io, progress, patience, awaited: None }
    }

    /// What it is around.
    pub(crate) fn inner(&self) -> &Connection<Io> {
        &self.io
    }

    /// What the connection is doing.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl<Io: AsyncWrite + Unpin> PatientHeads<Io> {
    /// Whether a head was awaited for too long. From here on the timer wakes whoever asks.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.progress.is_hearing() {
            self.awaited = None;
            return false;
        }
        let patience = self.patience;
        let awaited = self.awaited.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        awaited.as_mut().poll(cx).is_ready()
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for PatientHeads<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.awaited.is_some() && this.is_overdue(cx) {
            this.awaited = None;
            this.progress.give_up();
            if this.io.is_all_written() {
                // If there is no room for it, the client has not taken what came before either.
                let _ = Pin::new(&mut this.io).poll_write(cx, TIMED_OUT);
            }
            // As if the client had said that it is done.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            this.progress.heard(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for PatientHeads<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    /// The framework ends each of its turns with this. If what came in it was a request, it has been passed on by now.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_overdue(cx) {
            // The next turn reads, and so hears of it.
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    fn connection() -> (PatientHeads<DuplexStream>, DuplexStream) {
        let (near, far) = tokio::io::duplex(4096);
        let progress = Progress::default();
        (PatientHeads::new(Connection::new(near, progress.clone()), progress, PATIENCE), far)
    }

    /// One turn of the framework that comes to nothing; answers how much was read.
    async fn turn(near: &mut PatientHeads<DuplexStream>) -> usize {
        let read = near.read(&mut [0; 64]).await.unwrap();
        near.flush().await.unwrap();
        read
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_to_its_end_is_told_so_however_much_of_it_comes() {
        let (mut near, far) = connection();
        let (mut from, mut to) = tokio::io::split(far);
        let sending = async {
            while to.write_all(b"x: y\r\n").await.is_ok() {
                tokio::time::sleep(PATIENCE / 8).await;
            }
        };
        let serving = async move {
            let mut turns = 0;
            while turn(&mut near).await > 0 {
                turns += 1;
            }
            near.shutdown().await.unwrap();
            turns
        };
        let both = futures_util::future::join(serving, sending);
        let (turns, ()) = tokio::time::timeout(PATIENCE * 50, both).await.expect("it is awaited for ever");
        assert!((1..=9).contains(&turns), "{turns}");
        let mut said = String::new();
        from.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("\"request-timeout\""), "{said}");
    }

    #[tokio::test]
    async fn a_request_that_came_may_be_answered_for_as_long_as_it_takes() {
        let (mut near, mut far) = connection();
        far.write_all(b"GET / HT").await.unwrap();
        assert_eq!(turn(&mut near).await, 8);
        far.write_all(b"TP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(near.read(&mut [0; 64]).await.unwrap(), 10);
        let answering = near.progress().answer(&mut TestRequest::default().to_srv_request());
        near.flush().await.unwrap();
        let later = async {
            tokio::time::sleep(PATIENCE * 2).await;
            far.write_all(b"\r\n\r\n").await.unwrap();
        };
        let (read, ()) = futures_util::future::join(turn(&mut near), later).await;
        assert_eq!(read, 4);
        drop(answering);
        // Nothing of a next request has come.
        let idle = tokio::time::timeout(PATIENCE * 2, turn(&mut near)).await;
        assert!(idle.is_err(), "{idle:?}");
    }
}
