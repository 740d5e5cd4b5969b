//! What there is on this machine to break things with.

use std::path::{Path, PathBuf};

use crate::stage::disk::SmallDisk;
use crate::stage::process::program;

/// A name that stands in builds with failpoints, and in no other.
const MARK: &[u8] = b"RAINCHECK_FAILPOINTS";
const FAKETIME: [&str; 3] =
    ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// Whether raincheck and this program were built with failpoints.
    pub failpoints: bool,
    /// The library that shows a process a false time.
    pub faketime: Option<PathBuf>,
    /// An earlier release.
    pub previous: Option<PathBuf>,
    /// Whether file systems can be mounted.
    pub small_disk: bool,
}

impl Means {
    /// Looks around.
    pub fn find(previous: Option<PathBuf>) -> Self {
        let library =
            FAKETIME.iter().map(|folder| Path::new(folder).join("libfaketime.so.1")).find(|path| path.is_file());
        Self {
            failpoints: cfg!(feature = "proof") && has_failpoints(&program()),
            faketime: library,
            previous,
            small_disk: SmallDisk::mount(1).is_ok(),
        }
    }

    /// The environment of a process that is shown the time that a file says, as an offset.
    pub fn false_clock(&self, file: &str) -> Vec<(String, String)> {
        let Some(library) = &self.faketime else { return Vec::new() };
        let library = library.display().to_string();
        let pairs = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            // Nobody's wall clock moves what measures how long something took.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_CACHE_DURATION", "1"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }
}

fn has_failpoints(program: &Path) -> bool {
    std::fs::read(program).is_ok_and(|bytes| bytes.windows(MARK.len()).any(|window| window == MARK))
}
