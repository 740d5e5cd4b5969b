//! What clients saw: in memory for the checker, in a file for people.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::dice::Dice;
use super::history::{Ask, Heard, Seen};

/// Jobs that clients look at again, at most: the latest.
const IN_SIGHT: usize = 150;

/// The ledger of one trial.
#[derive(Debug)]
pub struct Ledger(Mutex<Pages>);

#[derive(Debug)]
struct Pages {
    seen: Vec<Seen>,
    jobs: Vec<String>,
    known: HashSet<String>,
    file: BufWriter<File>,
}

impl Ledger {
    /// An empty one; written to `clients.jsonl` in the folder.
    pub fn open(folder: &Path) -> Self {
        let file = BufWriter::new(File::create(folder.join("clients.jsonl")).unwrap());
        Self(Mutex::new(Pages { seen: Vec::new(), jobs: Vec::new(), known: HashSet::new(), file }))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down one answer.
    pub fn note(&self, seen: Seen) {
        let line = serde_json::to_string(&seen).unwrap();
        let mut pages = self.pages();
        writeln!(pages.file, "{line}").unwrap();
        if let (Ask::Submit { .. }, Heard::Job { job, .. }) = (&seen.ask, &seen.heard)
            && pages.known.insert(job.id.clone())
        {
            pages.jobs.push(job.id.clone());
        }
        pages.seen.push(seen);
    }

    /// One of the jobs that were accepted lately.
    pub fn some_job(&self, dice: &mut Dice) -> Option<String> {
        let pages = self.pages();
        dice.pick(&pages.jobs[pages.jobs.len().saturating_sub(IN_SIGHT)..]).cloned()
    }

    /// Every job that was accepted, in that order.
    pub fn jobs(&self) -> Vec<String> {
        self.pages().jobs.clone()
    }

    /// Everything.
    pub fn seen(&self) -> Vec<Seen> {
        let mut pages = self.pages();
        pages.file.flush().unwrap();
        pages.seen.clone()
    }
}
