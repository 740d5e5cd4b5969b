//! Notices clients that have gone while their answer is held: what they would be handed must go to somebody else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// A client has closed its side of a connection, or lost it. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct HungUp(pub(crate) CancellationToken);

/// A socket that tells when its client hangs up. The server reads on while an answer is held, so it hears of that at once.
#[derive(Debug)]
pub(crate) struct HangUps<Io> {
    io: Io,
    hung_up: HungUp,
}

impl<Io> HangUps<Io> {
    /// Listens to a socket.
    pub(crate) fn new(io: Io) -> Self {
        Self { io, hung_up: HungUp::default() }
    }

    /// What tells.
    pub(crate) fn hung_up(&self) -> &HungUp {
        &self.hung_up
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for HangUps<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (room, before) = (buffer.remaining(), buffer.filled().len());
        let read = Pin::new(&mut this.io).poll_read(cx, buffer);
        let is_over = match &read {
            Poll::Ready(Ok(())) => room > 0 && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_over {
            this.hung_up.0.cancel();
        }
        read
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for HangUps<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
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
    async fn a_client_that_closes_is_noticed_and_one_that_is_silent_is_not() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = HangUps::new(near);
        let hung_up = near.hung_up().clone();
        far.write_all(b"hello").await.unwrap();
        near.read_exact(&mut [0; 5]).await.unwrap();
        assert!(!hung_up.0.is_cancelled());
        drop(far);
        assert_eq!(near.read(&mut [0; 5]).await.unwrap(), 0);
        assert!(hung_up.0.is_cancelled());
    }
}
