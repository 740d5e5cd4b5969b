//! One key, one job.

use std::collections::{HashMap, HashSet};

use super::Violation;
use crate::chaos::history::{Ask, Heard, History};

const RULE: &str = "one job for each idempotency key";

/// All answers to a key name one job, only that job carries the key in the table, and it did what was asked.
pub(super) fn a_key_has_one_job(history: &History) -> Vec<Violation> {
    let mut jobs: HashMap<&str, HashSet<&str>> = HashMap::new();
    for seen in &history.seen {
        if let (Ask::Submit { key: Some(key), .. }, Heard::Job { job, .. }) = (&seen.ask, &seen.heard) {
            jobs.entry(key).or_default().insert(&job.id);
        }
    }
    for row in &history.rows {
        if let Some(key) = &row.key {
            jobs.entry(key).or_default().insert(&row.id);
        }
    }
    for (key, job) in &history.keys {
        jobs.entry(key).or_default().insert(job);
    }
    let mut found: Vec<_> = jobs
        .iter()
        .filter(|(_, jobs)| jobs.len() > 1)
        .map(|(key, jobs)| {
            let mut jobs: Vec<&str> = jobs.iter().copied().collect();
            jobs.sort_unstable();
            Violation::of(RULE, jobs[0], format!("key {key} has the jobs {}", jobs.join(", ")))
        })
        .collect();
    found.extend(foreign_numbers(history));
    found
}

/// A job's result repeats the number of the request that made it.
fn foreign_numbers(history: &History) -> Vec<Violation> {
    let mut asked: HashMap<&str, u64> = HashMap::new();
    for seen in &history.seen {
        if let (Ask::Submit { number, .. }, Heard::Job { job, .. }) = (&seen.ask, &seen.heard) {
            asked.entry(&job.id).or_insert(*number);
        }
    }
    let outputs = history.rows.iter().filter_map(|row| Some((row, row.output.as_ref()?)));
    outputs
        .filter_map(|(row, output)| {
            let number = *asked.get(row.id.as_str())?;
            let said = format!("it was asked to do number {number} and did {}", output.number);
            (number != output.number).then(|| Violation::of("a job does what was asked", &row.id, said))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{JOB, good, row};
    use super::*;
    use crate::chaos::history::Row;

    #[test]
    fn a_second_job_under_a_key_is_found_by_each_witness() {
        let mut in_the_table = good();
        in_the_table.rows.push(Row { id: "job-2".to_owned(), ..row() });
        assert_eq!(a_key_has_one_job(&in_the_table).len(), 1);

        let mut in_the_keys = good();
        in_the_keys.keys = vec![("key-1".to_owned(), "job-2".to_owned())];
        assert_eq!(a_key_has_one_job(&in_the_keys).len(), 1);

        let mut in_the_answers = good();
        let mut again = in_the_answers.seen[0].clone();
        if let Heard::Job { job, .. } = &mut again.heard {
            job.id = "job-2".to_owned();
        }
        in_the_answers.seen.push(again);
        let found = a_key_has_one_job(&in_the_answers);
        assert_eq!((found.len(), found[0].job.as_deref()), (1, Some(JOB)));
    }

    #[test]
    fn a_job_that_did_something_else_is_found() {
        let mut history = good();
        history.seen[0].ask = Ask::Submit { number: 8, key: Some("key-1".to_owned()) };
        assert_eq!(a_key_has_one_job(&history).len(), 1);
    }
}
