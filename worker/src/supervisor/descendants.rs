//! Every process below this one: which there are, what memory they use, and their end.

use std::collections::HashSet;

use rustix::process::{Pid, Signal, kill_process};

/// All processes below this one, as far as they can be seen: they come and go meanwhile.
pub(super) fn descendants() -> Vec<Pid> {
    below(rustix::process::getpid())
}

fn below(ancestor: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut ahead = vec![ancestor];
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

/// Whether they use more bytes together than that, in memory and swapped out: of their own, not of files that the machine can
/// read again.
pub(super) fn use_more_than(most: u64) -> bool {
    let living = descendants();
    // The sum of what each of them has counts a page as often as processes share it after a fork. It is quick to learn, and
    // where it is small the truth is no larger; the truth takes the kernel a walk through all pages.
    sum(&living, held) > most && sum(&living, share) > most
}

fn sum(processes: &[Pid], of: impl Fn(Pid) -> Option<u64>) -> u64 {
    processes.iter().filter_map(|pid| of(*pid)).sum()
}

/// What a process has, whoever else has it too.
fn held(pid: Pid) -> Option<u64> {
    let status = of_process(pid, "status")?;
    Some(bytes(&status, "RssAnon:").unwrap_or(0) + bytes(&status, "VmSwap:").unwrap_or(0))
}

/// Its share of that: of a page that several have, a part each.
fn share(pid: Pid) -> Option<u64> {
    let pages = of_process(pid, "smaps_rollup").unwrap_or_default();
    let (Some(here), Some(swapped)) = (bytes(&pages, "Pss_Anon:"), bytes(&pages, "SwapPss:")) else {
        // It does not let itself be looked at, or the kernel does not count this.
        return held(pid);
    };
    Some(here + swapped)
}

fn of_process(pid: Pid, file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_pid())).ok()
}

fn bytes(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::handlers::trial::eventually;

    #[tokio::test]
    async fn memory_that_processes_share_after_a_fork_counts_once() {
        // Eight that wait for the end of stdin, and share 36 MB of their parent's.
        let script = "x=$(head -c 12M /dev/zero | tr '\\0' x); x=$x$x$x; exec 3<&0
            for n in 1 2 3 4 5 6 7 8; do (read line <&3; true) & done; wait";
        let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        let parent = Pid::from_child(&shell);
        let family = eventually("all of them to be there", || {
            let mut family = below(parent);
            family.push(parent);
            let all_hold_it = family.len() == 9 && family.iter().all(|pid| held(*pid) > Some(36_000_000));
            all_hold_it.then_some(family)
        })
        .await;
        assert!(sum(&family, held) > 9 * 36_000_000);
        let shared = sum(&family, share);
        assert!((36_000_000..72_000_000).contains(&shared), "{shared} bytes");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
