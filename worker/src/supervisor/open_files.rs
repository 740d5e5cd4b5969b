//! How many files may be open at once: as many as the machine allows for a worker, and no more than ever for its programs.
//!
//! What a process starts with is mostly 1,024, since programs with `select()` go wrong beyond. A worker has a few for each
//! program and each connection, and no `select()`.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What this process had before.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Lets this process have as many open as it may allow itself.
pub(super) fn allow_all() {
    let Rlimit { current: Some(current), maximum } = getrlimit(Resource::Nofile) else { return };
    let more = maximum.is_none_or(|maximum| current < maximum);
    // A limit that cannot be raised stays.
    if more && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        let _ = BEFORE.set(current);
    }
}

/// The limit that programs get back; `None`: it is as it was.
pub(crate) fn before() -> Option<u64> {
    BEFORE.get().copied()
}

/// Goes back to such a limit.
pub(super) fn limit(current: u64) -> rustix::io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum })
}
