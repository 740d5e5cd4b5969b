//! What a trial takes for a while: folders, ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::wait::unique;

/// A folder of its own, removed when dropped unless the test has failed.
#[derive(Debug)]
pub struct TempFolder(pub PathBuf);

impl TempFolder {
    /// A new one under the system's folder for such things.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", unique()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Leaves it where it is.
    pub fn keep(self) -> PathBuf {
        let path = self.0.clone();
        std::mem::forget(self);
        path
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
