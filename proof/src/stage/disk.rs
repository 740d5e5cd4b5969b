//! A disk that can be filled: a small file system in memory, mounted on a folder of its own.

use std::io::{Error, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::temp::TempFolder;

const FILLING: &str = "filling";

/// Unmounted when dropped. It takes the right to mount.
#[derive(Debug)]
pub struct SmallDisk(TempFolder);

impl SmallDisk {
    /// Mounts one of so many megabytes, for anybody to write to.
    pub fn mount(megabytes: u32) -> std::io::Result<Self> {
        let folder = TempFolder::new("raincheck-disk");
        let options = format!("size={megabytes}m,mode=1777");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output()?;
        if !mounted.status.success() {
            return Err(Error::other(String::from_utf8_lossy(&mounted.stderr).into_owned()));
        }
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn filling(&self) -> PathBuf {
        self.path().join(FILLING)
    }

    /// Takes all the room that is left, and what is set free meanwhile is not taken.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.filling()).unwrap();
        // Smaller and smaller pieces: to the last page.
        for size in [1 << 20, 4096] {
            let piece = vec![1; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.filling()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}
