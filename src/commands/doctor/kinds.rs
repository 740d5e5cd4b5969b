//! Can the kinds be run from here?

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use raincheck_shared::config::{BrokerSettings, Kind, Run, Settings, Upstream};
use raincheck_shared::lifecycle::SystemClock;
use raincheck_shared::telemetry::Chain;
use raincheck_worker::RegistryError;
use raincheck_worker::handlers::Http;

use super::Findings;

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for kind in settings.kinds.values() {
        match &kind.run {
            Run::Command(program) => {
                let directory = program.directory.as_deref();
                check_directory(kind, directory, findings);
                let Some(name) = program.argv.first() else { continue };
                let path = program.env.get("PATH").map_or(path.as_os_str(), OsStr::new);
                check_program(kind, name, directory, path, findings);
            }
            Run::Http(upstream) => check_upstream(kind, upstream, findings),
            Run::Custom => check_handler(kind, settings, findings),
            Run::Echo | Run::Sleep | Run::Takeaway | Run::Remote => {}
        }
        if !kind.is_remote() && !is_served(kind, settings) {
            findings.doubt(
                format!("kinds.{}: waits in queue {}, which `worker.queues` leaves out", kind.name, kind.queue),
                "right if another worker takes that queue",
            );
        }
    }
}

/// Whether a worker with these settings takes its jobs.
fn is_served(kind: &Kind, settings: &Settings) -> bool {
    let queues = &settings.worker.queues;
    queues.is_empty() || queues.contains(&kind.queue)
}

fn check_upstream(kind: &Kind, upstream: &Upstream, findings: &mut Findings) {
    if let Err(source) = Http::new(upstream, SystemClock::shared()) {
        let error = RegistryError::Upstream { kind: kind.name.clone(), source };
        findings.bad(
            Chain(&error).to_string(),
            format!("correct the keys of [kinds.{}]: no worker starts with it", kind.name),
        );
    }
}

/// A handler that this program does not bring may come with another one, if there can be another.
fn check_handler(kind: &Kind, settings: &Settings, findings: &mut Findings) {
    let what = format!("kinds.{}: this program brings no handler for it", kind.name);
    if is_served(kind, settings) && matches!(settings.broker, BrokerSettings::InProcess) {
        findings.bad(
            what,
            "`raincheck up` does not start with it, and no other worker can be reached while the broker is in-process: set \
             `broker.url = \"amqp://…\"` and run its jobs with a worker of your own, or let something else run it",
        );
    } else {
        findings.doubt(
            what,
            "right if a worker of your own runs it; `raincheck worker` and `raincheck up` need other `worker.queues` then",
        );
    }
}

fn check_directory(kind: &Kind, directory: Option<&Path>, findings: &mut Findings) {
    if let Some(directory) = directory
        && !directory.is_dir()
    {
        findings.bad(
            format!("kinds.{}: there is no folder {}", kind.name, directory.display()),
            format!("make it, or set another `kinds.{}.directory`", kind.name),
        );
    }
}

fn check_program(kind: &Kind, program: &str, directory: Option<&Path>, path: &OsStr, findings: &mut Findings) {
    match find(program, directory, path) {
        Some(found) => findings.good(format!("kinds.{}: runs {}", kind.name, found.display())),
        None => findings.bad(
            format!("kinds.{}: there is no program {program:?} that this user may run", kind.name),
            "install it, or name it with its whole path; workers on other machines need it there",
        ),
    }
}

/// Where a program is: on the path, unless its name is a path itself.
fn find(program: &str, directory: Option<&Path>, path: &OsStr) -> Option<PathBuf> {
    let runnable = |candidate: &Path| {
        std::fs::metadata(candidate).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let candidate = directory.map_or_else(|| PathBuf::from(program), |directory| directory.join(program));
        return Some(candidate).filter(|candidate| runnable(candidate));
    }
    std::env::split_paths(path).map(|folder| folder.join(program)).find(|candidate| runnable(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_or_under_its_own_path() {
        let path = OsStr::new("/nowhere:/usr/bin:/bin");
        assert!(find("sh", None, path).is_some());
        assert!(find("/bin/sh", None, OsStr::new("")).is_some());
        assert!(find("./sh", Some(Path::new("/bin")), OsStr::new("")).is_some());
        assert!(find("no-such-program", None, path).is_none());
        assert!(find("/etc/passwd", None, path).is_none());
        assert!(find("bin", Some(Path::new("/")), OsStr::new("/")).is_none());
    }
}
