//! Every end that somebody wished to hear of was told.

use super::Violation;
use crate::chaos::history::{History, is_final};

/// A job with a webhook that has ended has a delivery of that end, and its receiver heard of it at least once.
pub(super) fn every_end_is_told(history: &History) -> Vec<Violation> {
    const RULE: &str = "every end is told";
    let ended = history.rows.iter().filter(|row| row.has_webhook && is_final(&row.status));
    let missing = ended.filter_map(|row| {
        let end = (row.id.clone(), row.version);
        let said = if !history.deliveries.contains(&end) {
            "no delivery of it is on record"
        } else if !history.told.contains(&end) {
            "its receiver never heard of it"
        } else {
            return None;
        };
        Some(Violation::of(RULE, &row.id, format!("version {} {}: {said}", row.version, row.status)))
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{JOB, good};
    use super::*;

    #[test]
    fn an_end_without_a_delivery_is_found() {
        let mut history = good();
        history.deliveries.clear();
        assert_eq!(every_end_is_told(&history)[0].job.as_deref(), Some(JOB));
    }

    #[test]
    fn a_delivery_that_its_receiver_never_heard_of_is_found() {
        let mut history = good();
        history.told.clear();
        assert_eq!(every_end_is_told(&history).len(), 1);
        // That it heard of something before is not that it heard of the end.
        history.told.insert((JOB.to_owned(), 4));
        assert_eq!(every_end_is_told(&history).len(), 1);
    }

    #[test]
    fn a_job_without_a_webhook_is_told_to_nobody() {
        let mut history = good();
        history.rows[0].has_webhook = false;
        (history.deliveries, history.told) = Default::default();
        assert_eq!(every_end_is_told(&history), []);
    }
}
