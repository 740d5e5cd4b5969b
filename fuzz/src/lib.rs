//! Every parser that meets the outside, given what nobody would send.
//!
//! What must hold is said where the parsers are, as functions that panic when it does not: [`raincheck_api::laws`] for
//! what clients and receivers of webhooks send, [`raincheck_worker::laws`] for what programs and upstreams say,
//! [`raincheck_shared::laws`] for what the broker and the operator say. Here they are by name, for libFuzzer and for the
//! test that replays the corpus. `docs/fuzzing.md` says how to run it.

use std::path::PathBuf;

use raincheck_api::laws as api;
use raincheck_shared::laws as shared;
use raincheck_worker::laws as worker;

/// A parser, or a group of them.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its folder in `corpus/`.
    pub name: &'static str,
    law: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 29] = [
    Target { name: "accept", law: api::accept },
    Target { name: "batch", law: api::batch },
    Target { name: "callback_url", law: shared::callback_url },
    Target { name: "command", law: api::command },
    Target { name: "config", law: config },
    Target { name: "cron", law: shared::cron },
    Target { name: "cursor", law: api::cursor },
    Target { name: "envelope", law: shared::envelope },
    Target { name: "filter", law: api::filter },
    Target { name: "header_value", law: api::header_value },
    Target { name: "if_none_match", law: api::if_none_match },
    Target { name: "job_id", law: api::job_id },
    Target { name: "key", law: shared::key },
    Target { name: "lease", law: api::lease },
    Target { name: "media_type", law: api::media_type },
    Target { name: "prefer", law: api::prefer },
    Target { name: "query", law: api::query },
    Target { name: "range", law: api::range },
    Target { name: "receiver", law: api::receiver },
    Target { name: "schedule", law: api::schedule },
    Target { name: "small_input", law: worker::small_input },
    Target { name: "spoken", law: worker::spoken },
    Target { name: "submission", law: api::submission },
    Target { name: "token", law: api::token },
    Target { name: "traceparent", law: api::traceparent },
    Target { name: "upstream", law: worker::upstream },
    Target { name: "url", law: shared::url },
    Target { name: "value", law: shared::value },
    Target { name: "wakeup", law: shared::wakeup },
];

impl Target {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// All names, for a message.
    pub fn names() -> String {
        TARGETS.map(|target| target.name).join(", ")
    }

    /// Panics when something does not hold.
    pub fn run(&self, bytes: &[u8]) {
        (self.law)(bytes);
    }
}

fn config(bytes: &[u8]) {
    thread_local! {
        /// A file of this thread's own.
        static FILE: PathBuf = std::env::temp_dir().join(format!(
            "raincheck-fuzz-{}-{:?}.toml",
            std::process::id(),
            std::thread::current().id()
        ));
    }
    FILE.with(|file| {
        shared::config(bytes, file);
        let _ = std::fs::remove_file(file);
    });
}
