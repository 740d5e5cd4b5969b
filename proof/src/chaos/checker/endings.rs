//! Every accepted job is kept, and ends.

use std::collections::{HashMap, HashSet};

use super::Violation;
use crate::chaos::history::{Ask, Heard, History, JobSeen, Row, is_final};

/// What the answers to submits promised: the jobs, each once.
pub(super) fn accepted(history: &History) -> HashSet<&str> {
    let jobs = history.seen.iter().filter_map(|seen| match (&seen.ask, &seen.heard) {
        (Ask::Submit { .. }, Heard::Job { job, .. }) => Some(job.id.as_str()),
        _ => None,
    });
    jobs.collect()
}

fn rows(history: &History) -> HashMap<&str, &Row> {
    history.rows.iter().map(|row| (row.id.as_str(), row)).collect()
}

/// A 202 is in the table, and no read that was sent after it says that there is no such job.
pub(super) fn every_accepted_job_is_kept(history: &History) -> Vec<Violation> {
    const RULE: &str = "what had a 202 is kept";
    let rows = rows(history);
    let accepted = accepted(history);
    let lost = accepted.iter().filter(|job| !rows.contains_key(**job));
    let mut found: Vec<_> = lost.map(|job| Violation::of(RULE, job, "it is not in the table")).collect();
    for seen in &history.seen {
        let Some(job) = seen.ask.job().filter(|job| accepted.contains(job)) else { continue };
        if let Heard::Other { code: code @ (404 | 410), problem, .. } = &seen.heard {
            found.push(Violation::of(RULE, job, format!("{} answered {code} {problem}", seen.replica)));
        }
    }
    found
}

/// Whatever is in the table has ended: also what a client never heard of.
pub(super) fn every_job_ends(history: &History) -> Vec<Violation> {
    let unfinished = history.rows.iter().filter(|row| !is_final(&row.status));
    unfinished.map(|row| Violation::of("every job ends", &row.id, format!("it is {} at the end", row.status))).collect()
}

/// An end that a client was shown is the end that is on record.
pub(super) fn what_clients_saw_last_is_what_the_table_holds(history: &History) -> Vec<Violation> {
    let rows = rows(history);
    let mut found = Vec::new();
    for seen in &history.seen {
        let Heard::Job { job, .. } = &seen.heard else { continue };
        let Some(row) = rows.get(job.id.as_str()) else { continue };
        if job.done && !agree(job, row) {
            let said = format!(
                "{} showed version {} {} {:?}, the table holds version {} {} {:?}",
                seen.replica, job.version, job.status, job.output, row.version, row.status, row.output
            );
            found.push(Violation::of("the end that was shown is the end on record", &job.id, said));
        }
    }
    found
}

fn agree(job: &JobSeen, row: &Row) -> bool {
    // An answer leaves out a large result.
    let same_output = job.output.is_none() || row.output.is_none() || job.output == row.output;
    job.version == row.version && job.status == row.status && same_output
}

#[cfg(test)]
mod tests {
    use super::super::sample::{JOB, good, job, output, seen};
    use super::*;

    #[test]
    fn a_job_that_is_gone_is_found() {
        let mut history = good();
        history.rows.clear();
        assert_eq!(every_accepted_job_is_kept(&history)[0].job.as_deref(), Some(JOB));
    }

    #[test]
    fn a_404_for_an_accepted_job_is_found() {
        let mut history = good();
        let missing = Heard::Other { code: 404, problem: "job-not-found".to_owned(), retry_after: false };
        history.seen.push(seen(4_000, Ask::Read(JOB.to_owned()), missing.clone()));
        history.seen.push(seen(4_000, Ask::Read("somebody else's".to_owned()), missing));
        assert_eq!(every_accepted_job_is_kept(&history).len(), 1);
    }

    #[test]
    fn a_job_that_does_not_end_is_found() {
        let mut history = good();
        history.rows[0].status = "queued".to_owned();
        assert_eq!(every_job_ends(&history).len(), 1);
    }

    #[test]
    fn an_end_that_was_shown_and_is_not_on_record_is_found() {
        let spoil = |change: fn(&mut Row)| {
            let mut history = good();
            change(&mut history.rows[0]);
            what_clients_saw_last_is_what_the_table_holds(&history).len()
        };
        assert_eq!(spoil(|row| row.status = "failed".to_owned()), 1);
        assert_eq!(spoil(|row| row.version = 6), 1);
        assert_eq!(spoil(|row| row.output = Some(output("run-a"))), 1);
        let mut history = good();
        history.seen.push(seen(4_000, Ask::Read(JOB.to_owned()), job(200, 5, "succeeded", Some("run-a"))));
        assert_eq!(what_clients_saw_last_is_what_the_table_holds(&history).len(), 1);
    }
}
