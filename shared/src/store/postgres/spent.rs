//! Where one process looks for dispatches whose jobs wait no more: a part of all at a time, in turn.

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The first that waited when what waits was last counted. Below it is nothing but what was cleared, and while somebody holds
    /// an old snapshot each of those would be stepped over.
    oldest: i64,
    /// The last that was looked at; 0: the next look begins at the first.
    last: i64,
}

impl Round {
    /// Notes the first that waits.
    pub(super) fn counted(&mut self, oldest: Option<i64>) {
        self.oldest = oldest.unwrap_or(0);
    }

    /// The next look is at what comes after this id.
    pub(super) fn begin(&self) -> i64 {
        self.last.max(self.oldest - 1)
    }

    /// How far that look came; `None`: to the end.
    pub(super) fn came_to(&mut self, last: Option<i64>) {
        self.last = last.unwrap_or(0);
    }
}
