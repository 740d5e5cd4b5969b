//! Every process below this one: which there are, what memory they use, and their end.

use std::collections::HashSet;

use rustix::process::{Pid, Signal, kill_process};

/// All processes below this one, as far as they can be seen: they come and go meanwhile.
pub(super) fn descendants() -> Vec<Pid> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut ahead = vec![rustix::process::getpid()];
    while let Some(parent) = ahead.pop() {
        for child in children(parent) {
            if seen.insert(child) {
                found.push(child);
                ahead.push(child);
            }
        }
    }
    found
}

fn children(parent: Pid) -> Vec<Pid> {
    // Children belong to the thread that started them.
    let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", parent.as_raw_pid())) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>())
        .collect()
}

/// Kills them all. Whoever is stopped first starts no others meanwhile.
pub(super) fn kill_all() {
    let mut stopped = HashSet::new();
    loop {
        let living = descendants();
        let new: Vec<Pid> = living.into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        signal(&new, Signal::STOP);
    }
    signal(&stopped.into_iter().collect::<Vec<_>>(), Signal::KILL);
}

fn signal(to: &[Pid], signal: Signal) {
    for pid in to {
        // One that is gone, or belongs to somebody else by now, is not to be helped.
        let _ = kill_process(*pid, signal);
    }
}

/// Bytes that they use together, in memory and swapped out: of their own, not of files that the machine can read again.
pub(super) fn memory() -> u64 {
    let statuses = descendants()
        .into_iter()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).ok());
    statuses.map(|status| kibibytes(&status, "RssAnon:") + kibibytes(&status, "VmSwap:")).sum::<u64>() << 10
}

fn kibibytes(status: &str, field: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
