//! What the work costs in processor time: on a machine where everything shares the cores, that is what bounds the rates,
//! and unlike a rate it does not swing with what else the machine does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

/// Ticks of the kernel's accounting in a second, on every Linux that raincheck runs on.
const TICKS: f64 = 100.0;

/// Seconds of processor time that a process and all its descendants have used.
pub fn seconds_of(root: u32) -> f64 {
    let processes: HashMap<u32, Process> =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| numbered(&entry.ok()?.file_name())).collect();
    let belongs = |mut pid: u32| loop {
        if pid == root {
            return true;
        }
        match processes.get(&pid) {
            Some(process) => pid = process.parent,
            None => return false,
        }
    };
    let all = processes.iter().filter(|(pid, _)| belongs(**pid));
    all.map(|(_, process)| (process.own + process.of_gone_children) / TICKS).sum()
}

/// The same of this process alone.
pub fn seconds_of_this_one() -> f64 {
    Process::read("self".as_ref()).map_or(0.0, |process| process.own / TICKS)
}

/// `None`: it is no process, or has just ended.
fn numbered(name: &OsStr) -> Option<(u32, Process)> {
    Some((name.to_str()?.parse().ok()?, Process::read(name)?))
}

struct Process {
    parent: u32,
    own: f64,
    of_gone_children: f64,
}

impl Process {
    fn read(name: &OsStr) -> Option<Self> {
        let stat = std::fs::read_to_string(Path::new("/proc").join(name).join("stat")).ok()?;
        // The name in brackets may hold anything; what counts comes after it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            of_gone_children: ticks(13)? + ticks(14)?,
        })
    }
}
