//! The command line, as its users meet it: arguments in, text and exit code out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops and says why")]

mod asking;
mod configuration;
mod demo;
mod doctor;
mod following;
mod in_json;
mod keys;
mod logs;
mod over_tls;
mod redriving;
mod submitting;
mod unwell;
mod usage;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::temp::TempFolder;

/// A folder to run `raincheck` in, without anything of the caller's environment that it would read.
struct Desk(TempFolder);

/// What a run said, and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        Self(TempFolder::new("raincheck-cli"))
    }

    /// A folder with this as its `raincheck.toml`.
    fn with_file(toml: &str) -> Self {
        let desk = Self::new();
        std::fs::write(desk.path().join("raincheck.toml"), toml).unwrap();
        desk
    }

    fn path(&self) -> &Path {
        &self.0.0
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let output = self.command(arguments).envs(environment.iter().copied()).output().unwrap();
        said(&output)
    }

    /// Runs it against an instance, with this on stdin.
    fn ask(&self, address: impl std::fmt::Display, arguments: &[&str], input: &[u8]) -> Said {
        use std::io::Write as _;
        let mut child = self
            .command(arguments)
            .env("RAINCHECK_URL", format!("http://{address}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who does not read it has ended already, and says why.
        let _ = child.stdin.take().unwrap().write_all(input);
        said(&child.wait_with_output().unwrap())
    }

    /// The command, in a bare environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raincheck"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::null());
        command
    }

    /// What is in the folder.
    fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

impl Said {
    /// Stdout as JSON, a document on each line.
    fn documents(&self) -> Vec<serde_json::Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}", self.all()));
        self.out.lines().map(read).collect()
    }

    /// All of it, for a test that fails.
    fn all(&self) -> String {
        format!("exit code {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }

    fn assert_code(&self, code: i32) {
        assert_eq!(self.code, code, "{}", self.all());
    }

    fn assert_err_has(&self, text: &str) {
        assert!(self.err.contains(text), "{text:?} is not in what it said: {}", self.all());
    }

    fn assert_out_has(&self, text: &str) {
        assert!(self.out.contains(text), "{text:?} is not in what it said: {}", self.all());
    }

    fn assert_nowhere(&self, text: &str) {
        assert!(!self.out.contains(text) && !self.err.contains(text), "{text:?} was said: {}", self.all());
    }
}
