//! One key, one job; one request, one job; and each does what was asked.

use std::collections::{HashMap, HashSet};

use super::Violation;
use crate::chaos::history::{Ask, Heard, History, Row};

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
    jobs.iter()
        .filter(|(_, jobs)| jobs.len() > 1)
        .map(|(key, jobs)| {
            let mut jobs: Vec<&str> = jobs.iter().copied().collect();
            jobs.sort_unstable();
            Violation::of(RULE, jobs[0], format!("key {key} has the jobs {}", jobs.join(", ")))
        })
        .collect()
}

/// A job's result repeats the number of the request that made it: the result of a handler, and the one of a program that
/// returns its input.
pub(super) fn a_job_does_what_was_asked(history: &History) -> Vec<Violation> {
    let mut asked: HashMap<&str, u64> = HashMap::new();
    for seen in &history.seen {
        if let (Ask::Submit { number, .. }, Heard::Job { job, .. }) = (&seen.ask, &seen.heard) {
            asked.entry(&job.id).or_insert(*number);
        }
    }
    let wrong = history.rows.iter().filter_map(|row| {
        let returned = (row.kind == "shell" && row.status == "succeeded" && row.echo.is_none())
            .then(|| "its result is not what it was given".to_owned());
        let foreign = number_of(row).zip(asked.get(row.id.as_str())).filter(|(did, number)| did != *number);
        let said = foreign.map(|(did, number)| format!("it was asked to do number {number} and did {did}"));
        Some(Violation::of("a job does what was asked", &row.id, returned.or(said)?))
    });
    wrong.collect()
}

/// No request has a number twice, and whoever repeats one gives its key again: so a number has one job, also where nobody
/// heard of it, and where a batch has the key.
pub(super) fn a_request_has_one_job(history: &History) -> Vec<Violation> {
    let mut first: HashMap<u64, &str> = HashMap::new();
    let mut found = Vec::new();
    for row in &history.rows {
        let Some(number) = number_of(row) else { continue };
        let before = *first.entry(number).or_insert(&row.id);
        if before != row.id {
            let said = format!("job {before} did number {number} too");
            found.push(Violation::of("one job for each request", &row.id, said));
        }
    }
    found
}

fn number_of(row: &Row) -> Option<u64> {
    row.output.as_ref().map(|output| output.number).or(row.echo)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{JOB, good, row};
    use super::*;

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
        assert_eq!(a_job_does_what_was_asked(&history), []);
        history.seen[0].ask = Ask::Submit { number: 8, key: Some("key-1".to_owned()), id: None };
        assert_eq!(a_job_does_what_was_asked(&history).len(), 1);
    }

    #[test]
    fn a_program_that_returned_something_else_is_found() {
        let returned = |echo| {
            let mut history = good();
            history.rows[0] = Row { kind: "shell".to_owned(), output: None, echo, ..row() };
            a_job_does_what_was_asked(&history).len()
        };
        assert_eq!((returned(Some(7)), returned(Some(8)), returned(None)), (0, 1, 1));
    }

    #[test]
    fn a_second_job_of_a_request_is_found_though_no_row_has_a_key_and_no_client_heard_of_it() {
        let mut history = good();
        history.rows[0].key = None;
        assert_eq!(a_request_has_one_job(&history), []);
        history.rows.push(Row { id: "job-2".to_owned(), key: None, ..row() });
        assert_eq!(a_request_has_one_job(&history)[0].job.as_deref(), Some("job-2"));
    }
}
