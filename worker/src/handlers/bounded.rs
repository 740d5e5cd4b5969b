//! A buffer that cannot grow past a bound, however much a program says.

use raincheck_shared::domain::Failure;

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
    use super::*;

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
