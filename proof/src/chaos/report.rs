//! What people are told: a line for each trial, and each violation with all that is known of its job.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::history::History;
use super::moment::Moment;
use super::round::Verdict;

/// Jobs whose whole history is told; of the others the violation alone.
const TOLD: usize = 8;

/// A line of the table in `docs/chaos.md`.
pub fn line(verdict: &Verdict, seconds: u64) -> String {
    let faults: Vec<String> = verdict.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let rows = &verdict.history.rows;
    let ended = rows.iter().filter(|row| super::history::is_final(&row.status)).count();
    let rescues: i64 = rows.iter().map(|row| row.crashes).sum();
    format!(
        "| {} | {seconds} | {} | {} / {ended} | {} | {rescues} | {} | {:.1} s | {} |",
        verdict.seed,
        faults.join(", "),
        verdict.accepted,
        verdict.history.runs.len(),
        verdict.fenced,
        verdict.settled.as_secs_f64(),
        verdict.violations.len()
    )
}

/// The heading of those lines.
pub const HEADING: &str = "| seed | seconds | faults | accepted / ended | runs | rescues | fenced | settled | violations |\n\
     |---|---|---|---|---|---|---|---|---|";

/// Says whether a mutation was found, by the rule that has to.
#[expect(clippy::print_stdout, reason = "the answer of a program for people at a terminal")]
pub fn finding(name: &str, rule: &str, verdicts: &[Verdict]) -> bool {
    let violations = || verdicts.iter().flat_map(|verdict| &verdict.violations);
    let count = violations().filter(|violation| violation.rule == rule).count();
    let rules: BTreeSet<&str> = violations().map(|violation| violation.rule).collect();
    println!("{name}: {count} times \"{rule}\"; rules that complained: {rules:?}");
    count > 0
}

/// Every violation, and the histories of the first jobs that they are about.
pub fn violations(verdict: &Verdict) -> String {
    let mut told = String::new();
    let mut jobs = BTreeSet::new();
    for violation in &verdict.violations {
        let job = violation.job.as_deref().unwrap_or("-");
        let _ = writeln!(told, "VIOLATION {}: job {job}: {}", violation.rule, violation.said);
        if let Some(job) = &violation.job
            && jobs.len() < TOLD
            && jobs.insert(job.clone())
        {
            told.push_str(&history_of(job, &verdict.history));
        }
    }
    told
}

fn history_of(job: &str, history: &History) -> String {
    let mut lines: Vec<(Moment, String)> = Vec::new();
    for seen in history.seen.iter().filter(|seen| seen.is_about(job)) {
        let took = seen.got.since(seen.sent);
        lines.push((
            seen.sent,
            format!("{} asks {} {:?}: after {took:?} {:?}", seen.client, seen.replica, seen.ask, seen.heard),
        ));
    }
    let mut pids = BTreeSet::new();
    for run in history.runs.iter().filter(|run| run.job == job) {
        pids.insert(run.pid);
        let (process, pid) = (&run.process, run.pid);
        lines.push((run.start, format!("{process} ({pid}) starts run {} of attempt {}", run.run, run.attempt)));
        if let Some((end, how)) = &run.end {
            lines.push((*end, format!("{process} ({pid}) ends run {}: {how}", run.run)));
        }
    }
    for absence in history.absences.iter().filter(|absence| pids.contains(&absence.pid)) {
        let (process, pid, why) = (&absence.process, absence.pid, absence.why);
        lines.push((absence.from, format!("{process} ({pid}) is {why:?} until {:?}", absence.until)));
    }
    lines.sort();
    let began = lines.first().map(|(at, _)| *at).unwrap_or_default();
    let mut told = String::new();
    for (at, line) in lines {
        let _ = writeln!(told, "    {:9.3} s ({})  {line}", at.since(began).as_secs_f64(), at.0);
    }
    for row in history.rows.iter().filter(|row| row.id == job) {
        let _ = writeln!(told, "    table: {row:?}");
        if let Some(worker) = &row.worker {
            let _ = writeln!(told, "    {worker} is {:?}", history.incarnations.get(worker));
        }
    }
    told
}
