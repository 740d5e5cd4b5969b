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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_begins_no_lower_than_the_first_that_waits_and_goes_on_where_the_last_one_ended() {
        let mut round = Round::default();
        assert_eq!(round.begin(), 0, "nothing was counted yet, so at the very first");
        round.counted(Some(500));
        assert_eq!(round.begin(), 499, "what was cleared is not stepped over");
        round.came_to(Some(900));
        assert_eq!(round.begin(), 900);
        round.counted(Some(2_000));
        assert_eq!(round.begin(), 1_999);
        round.came_to(None);
        round.counted(Some(500));
        assert_eq!(round.begin(), 499, "round and round");
    }
}
