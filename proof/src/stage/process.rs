//! raincheck as its users run it: a process of its own, that can be killed, stopped and continued.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::until;

/// The `raincheck` that is tried: the one that `RAINCHECK_PROGRAM` names, or else the one built along with this program.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("RAINCHECK_PROGRAM") {
        return named.into();
    }
    let own = std::env::current_exe().unwrap();
    // Tests are in a folder below it.
    let built = own.ancestors().skip(1).take(2).map(|folder| folder.join("raincheck")).find(|path| path.is_file());
    built.unwrap_or_else(|| panic!("no raincheck beside {}: run `cargo build` first", own.display()))
}

/// A running `raincheck` process. Killed when dropped; its log is shown then if the test has failed.
#[derive(Debug)]
pub struct Raincheck {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Raincheck {
    /// Runs `raincheck ARGUMENTS` with its log in `directory/NAME.log`, appended to by later processes of that name.
    pub fn run(name: &str, arguments: &[&str], directory: &Path) -> Self {
        let mut command = Command::new(program());
        command.args(arguments);
        Self::spawn(name, command, directory)
    }

    /// The same of any program, with arguments and an environment of its own.
    pub fn spawn(name: &str, mut command: Command, directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .current_dir(directory)
            .env_remove("DATABASE_URL")
            .env_remove("AMQP_URL")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log, name: name.to_owned() }
    }

    /// Everything that processes of this name have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, and wait for the end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let mut status = None;
        until("the process to end", Duration::from_mins(1), async || {
            status = child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Raincheck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the last lines of {}:", self.name);
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
