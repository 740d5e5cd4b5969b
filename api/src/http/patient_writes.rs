//! Hangs up on clients that take nothing: what is written for them would be kept, and their place with it, for as long as
//! they please.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A socket whose writes may stand still for a while only.
#[derive(Debug)]
pub(crate) struct PatientWrites<Io> {
    io: Io,
    patience: Duration,
    /// Runs while nothing can be written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<Io> PatientWrites<Io> {
    /// Gives up when nothing could be written for as long as `patience`.
    pub(crate) fn new(io: Io, patience: Duration) -> Self {
        Self { io, patience, stalled: None }
    }

    /// What it is around.
    pub(crate) fn inner(&self) -> &Io {
        &self.io
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for PatientWrites<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for PatientWrites<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = Pin::new(&mut this.io).poll_write(cx, bytes) {
            this.stalled = None;
            return Poll::Ready(written);
        }
        let patience = this.patience;
        let stalled = this.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_hung_up_on() {
        let (near, _far) = tokio::io::duplex(16);
        let mut near = PatientWrites::new(near, Duration::from_millis(50));
        let error = near.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_takes_little_but_goes_on_is_not() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut near = PatientWrites::new(near, Duration::from_millis(200));
        let taking = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(40)).await;
                far.read_u8().await.unwrap();
            }
        };
        let (written, ()) = futures_util::future::join(near.write_all(&[0; 10]), taking).await;
        written.unwrap();
    }
}
