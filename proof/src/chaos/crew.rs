//! The processes of a trial by name: started, killed, frozen, started again; and a record of when they were absent.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::history::{Absence, Why};
use super::moment::Moment;
use crate::stage::process::Raincheck;

/// How long a process may take to end after SIGTERM, before it is killed.
const STOPPING: Duration = Duration::from_secs(15);
/// How often processes are looked after.
const ROUNDS: Duration = Duration::from_millis(20);
/// A process that ended by itself had done so at most this long before it was seen.
const UNSEEN: Duration = Duration::from_millis(60);
/// SIGABRT: how a failpoint ends a process.
const ABORT: i32 = 6;

/// When a process is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// While faults last: a database that is away may hold it up for longer than there is patience.
    UnderFaults,
    /// When all is healed: nothing holds it up.
    InPeace,
}

/// How a process is started.
#[derive(Debug, Clone)]
pub struct Post {
    /// What runs.
    pub program: PathBuf,
    /// With what arguments.
    pub arguments: Vec<String>,
    /// With what added to the environment.
    pub environment: Vec<(String, String)>,
}

#[derive(Debug)]
struct Member {
    post: Post,
    process: Option<Raincheck>,
    absence: Option<usize>,
}

/// All processes of a trial.
#[derive(Debug)]
pub struct Crew {
    folder: PathBuf,
    members: Mutex<BTreeMap<String, Member>>,
    absences: Mutex<Vec<Absence>>,
    /// While the database has no connection left: the absences of those who have lost theirs.
    locked_out: Mutex<Option<Vec<usize>>>,
    broken: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// Nobody yet. All will run in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            members: Mutex::default(),
            absences: Mutex::default(),
            locked_out: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// Starts a process under a name.
    pub fn hire(&self, name: &str, post: Post) {
        let member = Member { post, process: None, absence: None };
        lock(&self.members).insert(name.to_owned(), member);
        self.start(name);
    }

    /// Starts a process again that has ended.
    pub fn start(&self, name: &str) {
        let mut members = lock(&self.members);
        let member = members.get_mut(name).unwrap();
        if member.process.is_none() {
            let mut command = Command::new(&member.post.program);
            command.args(&member.post.arguments);
            command.envs(member.post.environment.iter().map(|(key, value)| (key, value)));
            member.process = Some(Raincheck::spawn(name, command, &self.folder));
        }
    }

    /// Gives a process another program from its next start on; answers the one before.
    pub fn rebase(&self, name: &str, program: &Path) -> PathBuf {
        std::mem::replace(&mut lock(&self.members).get_mut(name).unwrap().post.program, program.to_owned())
    }

    /// SIGKILL.
    pub fn kill(&self, name: &str) {
        // Until here it may have lived.
        let from = Moment::now();
        let Some(mut process) = self.take(name) else { return };
        process.kill();
        self.note(name, process.pid(), Why::Dead, from);
    }

    /// SIGTERM, and SIGKILL if that takes too long.
    pub async fn terminate(&self, name: &str, asked: Asked) {
        self.terminate_within(STOPPING, name, asked).await;
    }

    async fn terminate_within(&self, patience: Duration, name: &str, asked: Asked) {
        let Some(mut process) = self.take(name) else { return };
        process.signal(Signal::TERM);
        let until = Moment::now().after(patience);
        while process.status().is_none() && Moment::now() < until {
            tokio::time::sleep(ROUNDS).await;
        }
        let seen = Moment::now();
        match process.status() {
            Some(status) if status.success() => {}
            Some(status) => lock(&self.broken).push(format!("{name} ended with {status} when it was asked to stop")),
            None => {
                if asked == Asked::InPeace {
                    let said = format!("{name} did not stop within {patience:?} of being asked to, all being healed");
                    lock(&self.broken).push(said);
                }
                process.kill();
            }
        }
        self.note(name, process.pid(), Why::Dead, seen.before(UNSEEN));
    }

    fn take(&self, name: &str) -> Option<Raincheck> {
        let (process, absence) = {
            let mut members = lock(&self.members);
            let member = members.get_mut(name).unwrap();
            (member.process.take(), member.absence.take())
        };
        self.close(absence);
        process
    }

    /// SIGSTOP.
    pub fn freeze(&self, name: &str) {
        let mut members = lock(&self.members);
        let member = members.get_mut(name).unwrap();
        let Some(process) = &member.process else { return };
        // Before: what it does until the signal comes counts as frozen, and is too short to matter.
        member.absence = Some(self.note(name, process.pid(), Why::Frozen, Moment::now()));
        process.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self, name: &str) {
        let mut members = lock(&self.members);
        let member = members.get_mut(name).unwrap();
        if let Some(process) = &member.process {
            process.signal(Signal::CONT);
        }
        self.close(member.absence.take());
    }

    /// Notes that a process's connections to the database are closed and it can open none; the answer ends that.
    pub fn cut_off(&self, name: &str) -> Option<usize> {
        let pid = lock(&self.members).get(name)?.process.as_ref()?.pid();
        Some(self.note(name, pid, Why::CutOff, Moment::now()))
    }

    /// Notes that the database has no connection left; the end of that is [`Crew::has_connections`].
    pub fn has_no_connections(&self) {
        lock(&self.locked_out).get_or_insert_default();
    }

    /// Notes that there are connections again: who lost its own meanwhile can open others.
    pub fn has_connections(&self) {
        for absence in lock(&self.locked_out).take().unwrap_or_default() {
            self.close(Some(absence));
        }
    }

    /// Notes that a process's connections to the database were cut. It opens others at once, where there are any.
    pub fn lost_connections(&self, name: &str) {
        if let Some(locked_out) = lock(&self.locked_out).as_mut() {
            locked_out.extend(self.cut_off(name));
        }
    }

    /// The end of an absence.
    pub fn close(&self, absence: Option<usize>) {
        if let Some(absence) = absence {
            lock(&self.absences)[absence].until = Some(Moment::now());
        }
    }

    fn note(&self, name: &str, pid: u32, why: Why, from: Moment) -> usize {
        let mut absences = lock(&self.absences);
        absences.push(Absence { pid, process: name.to_owned(), why, from, until: None });
        absences.len() - 1
    }

    /// Starts again whoever ended without having been ended, as a supervisor would. For ever.
    pub async fn supervise(&self) {
        loop {
            tokio::time::sleep(ROUNDS).await;
            let mut fallen = Vec::new();
            for (name, member) in lock(&self.members).iter_mut() {
                let Some(process) = &mut member.process else { continue };
                if let Some(status) = process.status() {
                    if status.signal() != Some(ABORT) {
                        lock(&self.broken).push(format!("{name} ended by itself: {status}"));
                    }
                    self.note(name, process.pid(), Why::Dead, Moment::now().before(UNSEEN));
                    fallen.push(name.clone());
                    member.process = None;
                }
            }
            if !fallen.is_empty() {
                tokio::time::sleep(Duration::from_millis(300)).await;
                for name in &fallen {
                    self.start(name);
                }
            }
        }
    }

    /// Everybody, by name.
    pub fn names(&self) -> Vec<String> {
        lock(&self.members).keys().cloned().collect()
    }

    /// When processes were absent.
    pub fn absences(&self) -> Vec<Absence> {
        lock(&self.absences).clone()
    }

    /// Who ended although nobody had ended it, and who panicked.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = lock(&self.broken).clone();
        for (name, log) in self.logs() {
            broken
                .extend(log.lines().filter(|line| line.contains("panicked at")).map(|line| format!("{name}: {line}")));
        }
        broken
    }

    /// Everything that each has logged.
    pub fn logs(&self) -> Vec<(String, String)> {
        let names = self.names();
        let read = |name: &String| std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        names.iter().map(|name| (name.clone(), read(name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::temp::TempFolder;
    use crate::stage::wait::until;

    #[test]
    fn who_loses_its_connections_is_cut_off_only_while_there_are_no_others() {
        let folder = TempFolder::new("raincheck-crew");
        let crew = Crew::new(&folder.0);
        let post = Post { program: "sleep".into(), arguments: vec!["60".to_owned()], environment: Vec::new() };
        crew.hire("w", post);
        let ended = || crew.absences().iter().map(|absence| (absence.why, absence.until.is_some())).collect::<Vec<_>>();

        crew.lost_connections("w");
        assert_eq!(ended(), [], "it opens others at once");
        crew.has_no_connections();
        crew.lost_connections("w");
        crew.lost_connections("nobody");
        assert_eq!(ended(), [(Why::CutOff, false)]);
        crew.has_connections();
        assert_eq!(ended(), [(Why::CutOff, true)]);
        crew.lost_connections("w");
        assert_eq!(ended().len(), 1, "that is over");
        crew.kill("w");
    }
    #[tokio::test]
    async fn who_does_not_stop_is_broken_unless_faults_may_hold_it_up() {
        let folder = TempFolder::new("raincheck-crew");
        let crew = Crew::new(&folder.0);
        let deaf = "trap '' TERM; touch ready; while :; do sleep 1; done".to_owned();
        let post = Post { program: "sh".into(), arguments: vec!["-c".to_owned(), deaf], environment: Vec::new() };
        crew.hire("w", post);
        for (asked, broken) in [(Asked::UnderFaults, 0), (Asked::InPeace, 1)] {
            until("it to be deaf", Duration::from_secs(20), async || folder.0.join("ready").exists()).await;
            crew.terminate_within(Duration::from_millis(50), "w", asked).await;
            assert_eq!(crew.broken().len(), broken, "{asked:?}");
            std::fs::remove_file(folder.0.join("ready")).unwrap();
            crew.start("w");
        }
        crew.kill("w");
    }
}
