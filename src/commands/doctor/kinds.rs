//! Can the kinds be run from here?

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use raincheck_shared::config::{Kind, Run, Settings};

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
            Run::Custom => findings.doubt(
                format!("kinds.{}: this program brings no handler for it", kind.name),
                "right if a worker of your own runs it; `raincheck worker` needs other `worker.queues` then",
            ),
            Run::Http(_) | Run::Echo | Run::Sleep | Run::Takeaway | Run::Remote => {}
        }
        let queues = &settings.worker.queues;
        if !kind.is_remote() && !queues.is_empty() && !queues.contains(&kind.queue) {
            findings.doubt(
                format!("kinds.{}: waits in queue {}, which `worker.queues` leaves out", kind.name, kind.queue),
                "right if another worker takes that queue",
            );
        }
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
