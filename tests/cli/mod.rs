//! The command line, as its users meet it: arguments in, text and exit code out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops and says why")]

mod configuration;
mod demo;
mod doctor;
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
        let output = Command::new(env!("CARGO_BIN_EXE_raincheck"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        said(&output)
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
