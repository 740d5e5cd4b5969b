//! What clients are shown hangs together: over all clients and replicas.

use std::collections::HashMap;

use super::Violation;
use crate::chaos::history::{Ask, Heard, History, JobSeen, Seen, is_final};

/// Every sight of a job, by job.
fn sights(history: &History) -> HashMap<&str, Vec<(&Seen, &JobSeen)>> {
    let mut sights: HashMap<&str, Vec<(&Seen, &JobSeen)>> = HashMap::new();
    for seen in &history.seen {
        if let Heard::Job { job, .. } = &seen.heard {
            sights.entry(&job.id).or_default().push((seen, job));
        }
    }
    sights
}

/// A read that was sent after another was answered shows no older version; and one version is one status.
pub(super) fn versions_only_rise(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, sights) in sights(history) {
        let mut by_answer = sights.clone();
        by_answer.sort_by_key(|(seen, _)| seen.got);
        let mut by_send = sights;
        by_send.sort_by_key(|(seen, _)| seen.sent);
        let mut answered = by_answer.iter().peekable();
        let mut newest: Option<&(&Seen, &JobSeen)> = None;
        for (seen, job) in &by_send {
            while let Some(earlier) = answered.next_if(|(earlier, _)| earlier.got < seen.sent) {
                if newest.is_none_or(|(_, newest)| newest.version < earlier.1.version) {
                    newest = Some(earlier);
                }
            }
            if let Some((before, newest)) = newest.filter(|(_, newest)| newest.version > job.version) {
                let said = format!(
                    "{} showed version {} ({}), and {:?} later {} showed version {} ({})",
                    before.replica,
                    newest.version,
                    newest.status,
                    seen.sent.since(before.got),
                    seen.replica,
                    job.version,
                    job.status
                );
                found.push(Violation::of("versions only rise", id, said));
            }
        }
        let mut statuses: HashMap<i64, &str> = HashMap::new();
        for (_, job) in &by_send {
            let first = *statuses.entry(job.version).or_insert(&job.status);
            if first != job.status {
                let said = format!("version {} was {first}, and was {}", job.version, job.status);
                found.push(Violation::of("a version is one state", id, said));
            }
        }
    }
    found
}

/// Whatever version a job had when it ended, it has no later one.
pub(super) fn an_end_is_final(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, sights) in sights(history) {
        let Some((_, end)) = sights.iter().find(|(_, job)| is_final(&job.status)) else { continue };
        for (seen, job) in &sights {
            if job.version > end.version || (is_final(&job.status) && job.status != end.status) {
                let said = format!(
                    "it had ended as {} in version {}, and {} showed {} in version {}",
                    end.status, end.version, seen.replica, job.status, job.version
                );
                found.push(Violation::of("an end is final", id, said));
            }
        }
    }
    found
}

/// Within one answer: `done` fits the status, the `ETag` the version, the job the question.
pub(super) fn answers_do_not_contradict_themselves(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for seen in &history.seen {
        let Heard::Job { code, job, etag } = &seen.heard else { continue };
        let mut wrong = Vec::new();
        if job.done != is_final(&job.status) {
            wrong.push(format!("it is {} and done is {}", job.status, job.done));
        }
        if etag.is_some_and(|etag| etag != job.version) {
            wrong.push(format!("version {} has the ETag {etag:?}", job.version));
        }
        if seen.ask.job().is_some_and(|asked| asked != job.id) {
            wrong.push(format!("asked for {:?}", seen.ask));
        }
        if let Ask::Submit { id: Some(own), .. } = &seen.ask
            && *own != job.id
        {
            wrong.push(format!("it was to have the id {own}"));
        }
        if job.output.is_some() && job.status != "succeeded" {
            wrong.push(format!("it is {} and has a result", job.status));
        }
        if matches!(seen.ask, Ask::Submit { .. }) && (*code == 200) != job.done {
            wrong.push(format!("a submit was answered {code} with a job that is {}", job.status));
        }
        let contradictions = wrong.into_iter().map(|said| {
            Violation::of("an answer does not contradict itself", &job.id, format!("{}: {said}", seen.replica))
        });
        found.extend(contradictions);
    }
    found
}

/// The only failure that is raincheck's own is 503, and it says when to try again. A repeated request is never taken for
/// another one.
pub(super) fn refusals_are_of_the_right_kind(history: &History) -> Vec<Violation> {
    const RULE: &str = "a refusal is of the right kind";
    let mut found = Vec::new();
    for seen in &history.seen {
        let Heard::Other { code, problem, retry_after } = &seen.heard else { continue };
        let fine = match code {
            503 => *retry_after,
            // Of 404 and 410 the rule about kept jobs tells.
            304 | 404 | 410 => true,
            409 => match seen.ask {
                Ask::Submit { key: Some(_), .. } => problem == "idempotency-in-flight",
                Ask::Submit { .. } | Ask::Read(_) => false,
                Ask::Cancel(_) => problem == "job-already-finished",
                Ask::Output(_) => matches!(problem.as_str(), "job-not-finished" | "job-failed"),
            },
            _ => false,
        };
        if !fine {
            let said = format!("{:?} through {}: {code} {problem}, retry-after {retry_after}", seen.ask, seen.replica);
            found.push(match seen.ask.job() {
                Some(job) => Violation::of(RULE, job, said),
                None => Violation::at_large(RULE, said),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::{JOB, good, job, seen};
    use super::*;

    fn with(sent: i64, ask: Ask, heard: Heard) -> History {
        let mut history = good();
        history.seen.push(seen(sent, ask, heard));
        history
    }

    fn read(sent: i64, heard: Heard) -> History {
        with(sent, Ask::Read(JOB.to_owned()), heard)
    }

    #[test]
    fn a_version_that_falls_is_found_unless_the_reads_overlapped() {
        assert_eq!(versions_only_rise(&read(4_000, job(200, 4, "retrying", None))).len(), 1);
        assert_eq!(versions_only_rise(&read(3_005, job(200, 4, "retrying", None))).len(), 0);
    }

    #[test]
    fn a_version_of_two_states_is_found() {
        assert_eq!(versions_only_rise(&read(205, job(200, 2, "queued", None))).len(), 1);
    }

    #[test]
    fn an_end_that_changes_is_found() {
        assert_eq!(an_end_is_final(&good()).len(), 0);
        assert_eq!(an_end_is_final(&read(4_000, job(200, 6, "queued", None))).len(), 1);
        assert_eq!(an_end_is_final(&read(4_000, job(200, 5, "failed", None))).len(), 1);
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_found() {
        let faults = |heard: Heard| answers_do_not_contradict_themselves(&read(4_000, heard)).len();
        assert_eq!(faults(job(200, 5, "succeeded", Some("run-b"))), 0);
        assert_eq!(faults(job(200, 5, "failed", Some("run-b"))), 1);
        for spoil in [
            (|job: &mut JobSeen, _: &mut Option<i64>| job.done = false) as fn(&mut JobSeen, &mut Option<i64>),
            |_, etag| *etag = Some(9),
            |job, _| job.id = "job-2".to_owned(),
        ] {
            let Heard::Job { code, mut job, mut etag } = job(200, 5, "succeeded", None) else { unreachable!() };
            spoil(&mut job, &mut etag);
            assert_eq!(faults(Heard::Job { code, job, etag }), 1);
        }
        // A submit is answered 200 by a job that has ended, and 202 by one that has not.
        let submit = |heard| with(4_000, Ask::Submit { number: 7, key: Some("key-1".to_owned()), id: None }, heard);
        let answered = [(202, "succeeded", 1), (200, "queued", 1), (200, "succeeded", 0), (202, "queued", 0)];
        for (code, status, faults) in answered {
            let history = submit(job(code, 5, status, None));
            assert_eq!(answers_do_not_contradict_themselves(&history).len(), faults, "{code} {status}");
        }
    }

    #[test]
    fn a_job_under_another_id_than_its_client_chose_is_found() {
        let named = |id: &str| {
            let ask = Ask::Submit { number: 7, key: Some(format!("\"{id}\"")), id: Some(id.to_owned()) };
            answers_do_not_contradict_themselves(&with(0, ask, job(202, 1, "queued", None))).len()
        };
        assert_eq!((named(JOB), named("job-2")), (0, 1));
    }

    #[test]
    fn a_refusal_of_the_wrong_kind_is_found() {
        let faults = |code: u16, problem: &str, retry_after: bool, ask: Ask| {
            let heard = Heard::Other { code, problem: problem.to_owned(), retry_after };
            refusals_are_of_the_right_kind(&with(4_000, ask, heard)).len()
        };
        let submit = || Ask::Submit { number: 1, key: Some("key-1".to_owned()), id: None };
        assert_eq!(faults(503, "store-unavailable", true, submit()), 0);
        assert_eq!(faults(503, "store-unavailable", false, submit()), 1);
        assert_eq!(faults(500, "internal-error", false, Ask::Read(JOB.to_owned())), 1);
        assert_eq!(faults(409, "idempotency-in-flight", true, submit()), 0);
        assert_eq!(faults(422, "idempotency-key-reused", false, submit()), 1);
        assert_eq!(faults(409, "job-already-finished", false, Ask::Cancel(JOB.to_owned())), 0);
    }
}
