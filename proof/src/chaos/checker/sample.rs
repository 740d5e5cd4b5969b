//! A small history in which all is well, for tests to spoil.

use std::time::Duration;

use crate::chaos::history::{Absence, Ask, Heard, History, JobSeen, Output, Row, Run, Seen, Why};
use crate::chaos::moment::Moment;

/// The job of the sample.
pub(super) const JOB: &str = "job-1";

/// A moment by its millisecond.
pub(super) fn at(millis: i64) -> Moment {
    Moment(millis * 1_000)
}

/// A job with a key that was rescued once: its worker `w1` died at 500, `w2` ran it to its end.
pub(super) fn good() -> History {
    History {
        seen: vec![
            seen(0, Ask::Submit { number: 7, key: Some("key-1".to_owned()), id: None }, job(202, 1, "queued", None)),
            seen(200, Ask::Read(JOB.to_owned()), job(200, 2, "in_progress", None)),
            seen(3_000, Ask::Read(JOB.to_owned()), job(200, 5, "succeeded", Some("run-b"))),
            seen(3_100, Ask::Output(JOB.to_owned()), Heard::Output(Some(output("run-b")))),
        ],
        runs: vec![run("run-a", "w1", 100, None), run("run-b", "w2", 1_500, Some(2_500))],
        rows: vec![row()],
        deliveries: [(JOB.to_owned(), 5)].into(),
        told: [(JOB.to_owned(), 5)].into(),
        keys: vec![("key-1".to_owned(), JOB.to_owned())],
        absences: vec![absence("w1", Why::Dead, 500, None)],
        incarnations: [("i1", "w1"), ("i2", "w2")].map(|(i, w)| (i.to_owned(), w.to_owned())).into(),
        lease: Duration::from_secs(3),
        heartbeat: Duration::from_millis(500),
        ..History::default()
    }
}

pub(super) fn row() -> Row {
    Row {
        id: JOB.to_owned(),
        kind: "journaled".to_owned(),
        status: "succeeded".to_owned(),
        version: 5,
        attempt: 1,
        crashes: 1,
        worker: Some("i2".to_owned()),
        started: Some(at(1_450)),
        key: Some("key-1".to_owned()),
        output: Some(output("run-b")),
        echo: None,
        has_result: true,
        error: None,
        has_webhook: true,
    }
}

pub(super) fn output(run: &str) -> Output {
    Output { job: JOB.to_owned(), attempt: 1, run: run.to_owned(), number: 7 }
}

pub(super) fn job(code: u16, version: i64, status: &str, run: Option<&str>) -> Heard {
    let done = crate::chaos::history::is_final(status);
    let job =
        JobSeen { id: JOB.to_owned(), version, status: status.to_owned(), done, attempt: 1, output: run.map(output) };
    Heard::Job { code, job, etag: Some(version) }
}

/// Sent at that millisecond, answered ten later.
pub(super) fn seen(sent: i64, ask: Ask, heard: Heard) -> Seen {
    let (client, replica) = ("c1".to_owned(), "api-a".to_owned());
    Seen { sent: at(sent), got: at(sent + 10), client, replica, ask, heard }
}

pub(super) fn run(run: &str, process: &str, start: i64, end: Option<i64>) -> Run {
    Run {
        job: JOB.to_owned(),
        attempt: 1,
        run: run.to_owned(),
        process: process.to_owned(),
        pid: if process == "w1" { 1 } else { 2 },
        start: at(start),
        end: end.map(|end| (at(end), "complete".to_owned())),
    }
}

pub(super) fn absence(process: &str, why: Why, from: i64, until: Option<i64>) -> Absence {
    let pid = if process == "w1" { 1 } else { 2 };
    Absence { pid, process: process.to_owned(), why, from: at(from), until: until.map(at) }
}
