//! The house is in order at the end, and on the way nothing was lost that no fault had taken.

use super::Violation;
use crate::chaos::history::History;

/// Nothing waits or is held once all has ended; no process broke; and no message was lost without a fault that may lose
/// or hold back messages.
pub(super) fn nothing_is_left_over_lost_or_broken(history: &History) -> Vec<Violation> {
    let left = history.left.iter().map(|left| Violation::at_large("nothing is left over", left));
    let broken = history.broken.iter().map(|broken| Violation::at_large("no process breaks", broken));
    let lost = history.announced_again.iter().filter_map(|(at, queue)| {
        let mut held = history.excuses.iter().filter(|excuse| excuse.queue.is_none_or(|name| name == queue));
        let excused = held.any(|excuse| excuse.from <= *at && *at <= excuse.until);
        let said = format!("jobs of {queue} had to be announced again at {}, and no fault explains it", at.0);
        (!excused).then(|| Violation::at_large("no message is lost without a fault", said))
    });
    left.chain(broken).chain(lost).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{at, good};
    use super::*;
    use crate::chaos::history::Excuse;

    #[test]
    fn what_is_left_over_or_broken_is_found() {
        let mut history = good();
        history.left.push("3 leases".to_owned());
        history.broken.push("w1 ended with status 101".to_owned());
        assert_eq!(nothing_is_left_over_lost_or_broken(&history).len(), 2);
    }

    #[test]
    fn a_message_that_was_lost_without_a_fault_is_found() {
        let mut history = good();
        history.announced_again = [2_000, 9_000].map(|millis| (at(millis), "journaled".to_owned())).into();
        let excused_of = |history: &mut History, queue| {
            history.excuses = vec![Excuse { from: at(1_000), until: at(3_000), queue }];
            nothing_is_left_over_lost_or_broken(history).len()
        };
        assert_eq!(excused_of(&mut history, None), 1);
        assert_eq!(excused_of(&mut history, Some("journaled")), 1);
        assert_eq!(excused_of(&mut history, Some("shell")), 2, "that fault could not touch it");
    }
}
