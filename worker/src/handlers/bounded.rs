//! Buffers that cannot grow past a bound, however much a program or an upstream sends.

use bytes::{Bytes, BytesMut};
use raincheck_shared::domain::Failure;

use crate::HandlerError;

/// All of an output, up to a limit; what goes past it is an error while it is read, not after.
pub(super) struct Output {
    bytes: BytesMut,
    limit: u64,
}

impl Output {
    /// Nothing yet; at most `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { bytes: BytesMut::new(), limit }
    }

    /// Adds a chunk, if it still fits.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), HandlerError> {
        let size = u64::try_from(self.bytes.len() + chunk.len()).unwrap_or(u64::MAX);
        if size > self.limit {
            return Err(HandlerError::output_too_large(self.limit));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }
}

/// The last [`Failure::DETAIL_LIMIT`] bytes of what was said.
#[derive(Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    /// Adds a chunk and forgets what is too old.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.0.extend_from_slice(chunk);
        // Cut only now and then: moving the tail for each small line would cost more than keeping it twice.
        if self.0.len() > 4 * Failure::DETAIL_LIMIT {
            self.cut();
        }
    }

    /// The end of what was said.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.cut();
        self.0
    }

    fn cut(&mut self) {
        let excess = self.0.len().saturating_sub(Failure::DETAIL_LIMIT);
        self.0.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::domain::FailureCode;

    use super::*;

    #[test]
    fn an_output_takes_its_limit_and_not_a_byte_more() {
        let mut output = Output::new(4);
        assert_eq!(output.push(b"ab"), Ok(()));
        assert_eq!(output.push(b"cd"), Ok(()));
        assert_eq!(output.push(b"e").map_err(|e| e.code), Err(FailureCode::OutputTooLarge));
        assert_eq!(output.into_bytes(), "abcd");
    }

    #[test]
    fn a_tail_is_the_end_however_it_was_said() {
        let said: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for size in [1_000, 7, said.len()] {
            let mut tail = Tail::default();
            said.chunks(size).for_each(|chunk| tail.push(chunk));
            assert_eq!(tail.into_bytes(), said[said.len() - Failure::DETAIL_LIMIT..]);
        }
    }
}
