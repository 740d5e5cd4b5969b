//! Folders that attempts have for themselves, removed with all that is in them.
//!
//! All attempts of a worker have theirs in one folder, whose name a file beside it repeats. That file is locked for as
//! long as the worker lives, so the next one on the machine can tell, and removes what a killed worker left.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use raincheck_shared::lifecycle::IdSource;

use crate::supervisor::Report;

const PREFIX: &str = "raincheck-attempts-";
const LOCK: &str = "lock";
/// How often a folder that resists is tried again.
const TRIES: usize = 10;

/// Where the attempts of this worker have their folders. Nothing is made before the first one needs it.
#[derive(Debug)]
pub struct Scratch {
    /// In which folder; must be there.
    inside: PathBuf,
    opened: Mutex<Option<Opened>>,
}

#[derive(Debug)]
struct Opened {
    folder: PathBuf,
    lock: PathBuf,
    /// Locked.
    _held: File,
    /// The folder itself, locked where its file system can: `systemd-tmpfiles` passes over what is, however long nobody used it.
    _kept: Option<File>,
}

impl Scratch {
    /// Folders inside this one; without one, inside the system's for temporary files.
    pub fn inside(folder: Option<&Path>) -> Self {
        Self { inside: folder.map_or_else(std::env::temp_dir, Path::to_path_buf), opened: Mutex::new(None) }
    }

    /// A folder for one attempt.
    pub(super) fn folder(&self) -> io::Result<AttemptFolder> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *opened {
            Some(open) => open,
            none => none.insert(Opened::inside(&self.inside)?),
        };
        match open.attempt() {
            // Somebody has tidied it away, and with it whatever attempts had in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !open.folder.exists() => {
                *opened = None;
                opened.insert(Opened::inside(&self.inside)?).attempt()
            }
            made => made,
        }
    }
}

impl Opened {
    fn inside(inside: &Path) -> io::Result<Self> {
        // Others may look into it, so that the attempts of all its workers find one another's remains.
        let inside = std::path::absolute(inside)?;
        let folder = inside.join(format!("{PREFIX}{}", IdSource.random().simple()));
        let lock = folder.with_extension(LOCK);
        let held = File::options().write(true).create_new(true).open(&lock)?;
        // Between the line above and this one another worker may have taken it for remains: then it is theirs.
        held.try_lock().map_err(io::Error::from)?;
        private().create(&folder).inspect_err(|_| drop(std::fs::remove_file(&lock)))?;
        let kept = File::open(&folder).ok().filter(|folder| folder.try_lock().is_ok());
        // Only now, since whoever looks for remains would take its own for some.
        off_the_runtime(move || remove_remains(&inside));
        Ok(Self { folder, lock, _held: held, _kept: kept })
    }

    fn attempt(&self) -> io::Result<AttemptFolder> {
        let folder = AttemptFolder(self.folder.join(IdSource.random().simple().to_string()));
        for path in [&folder.0, &folder.work(), &folder.temporary()] {
            private().create(path)?;
        }
        Report::make_room(&folder.report())?;
        Ok(folder)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        remove(&self.folder);
        let _ = std::fs::remove_file(&self.lock);
    }
}

/// A folder of one attempt. Removed when it is dropped.
#[derive(Debug)]
pub(super) struct AttemptFolder(PathBuf);

impl AttemptFolder {
    /// Where the program works.
    pub(super) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// Where it may leave temporary files.
    pub(super) fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// Where its supervisor writes how it ended.
    pub(super) fn report(&self) -> PathBuf {
        self.0.join("ended")
    }

    /// Removes it off the threads that everything else runs on.
    pub(super) async fn remove(mut self) {
        let left = self.left();
        // A runtime that is ending takes no more work of that sort, and drops it.
        let _ = tokio::task::spawn_blocking(move || drop(left)).await;
    }

    /// What is to be removed of it; `None`: that is done, or on its way.
    fn left(&mut self) -> Option<Left> {
        let folder = std::mem::take(&mut self.0);
        (!folder.as_os_str().is_empty()).then_some(Left(folder))
    }
}

impl Drop for AttemptFolder {
    fn drop(&mut self) {
        if let Some(left) = self.left() {
            off_the_runtime(move || drop(left));
        }
    }
}

/// A folder that nobody needs any more. Removed when it is dropped, so also by a runtime that does not come to it.
struct Left(PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Does what may take long, such as the removal of very many files, on a thread that nobody waits for, where there is a runtime
/// to have it.
fn off_the_runtime(work: impl FnOnce() + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Removes what workers left that are no more.
fn remove_remains(inside: &Path) {
    for entry in std::fs::read_dir(inside).into_iter().flatten().flatten() {
        let lock = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(PREFIX) || lock.extension().is_none_or(|extension| extension != LOCK) {
            continue;
        }
        let Ok(file) = File::open(&lock) else { continue };
        match file.try_lock() {
            Ok(()) => {
                remove(&lock.with_extension(""));
                let _ = std::fs::remove_file(&lock);
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

fn remove(folder: &Path) {
    let mut removed = std::fs::remove_dir_all(folder);
    for _ in 0..TRIES {
        match &removed {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unlock(folder),
            // Who was killed a moment ago has just made another file.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Ok(()) | Err(_) => break,
        }
        removed = std::fs::remove_dir_all(folder);
    }
    if let Err(error) = removed {
        tracing::warn!(folder = %folder.display(), %error, "the folder of an attempt could not be removed");
    }
}

/// Gives back what a program took from itself: nobody can remove what is in a folder that may not be written to.
fn unlock(folder: &Path) {
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::handlers::trial::{Folder, eventually};

    fn entries(folder: &Folder) -> usize {
        std::fs::read_dir(&folder.0).unwrap().count()
    }

    #[test]
    fn a_folder_goes_with_its_attempt_and_all_go_with_the_worker() {
        let inside = Folder::new();
        let scratch = Scratch::inside(Some(&inside.0));
        assert_eq!(entries(&inside), 0);
        let folder = scratch.folder().unwrap();
        std::fs::write(folder.work().join("left"), "x").unwrap();
        let kept = scratch.folder().unwrap();
        let path = folder.0.clone();
        drop(folder);
        assert!(!path.exists() && kept.work().exists());
        drop((scratch, kept));
        assert_eq!(entries(&inside), 0);
    }

    #[test]
    fn what_may_not_be_written_to_is_removed_all_the_same() {
        let inside = Folder::new();
        let scratch = Scratch::inside(Some(&inside.0));
        let folder = scratch.folder().unwrap();
        let deep = folder.work().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), "x").unwrap();
        for path in [deep.clone(), folder.work().join("a")] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o500)).unwrap();
        }
        let path = folder.0.clone();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_worker_left_is_removed_by_the_next_and_what_a_living_one_has_is_not() {
        let inside = Folder::new();
        let living = Scratch::inside(Some(&inside.0));
        let kept = living.folder().unwrap();
        let remains = remains(&inside);
        let next = Scratch::inside(Some(&inside.0));
        let _own = next.folder().unwrap();
        assert!(!remains.exists() && !remains.with_extension(LOCK).exists());
        assert!(kept.work().exists());
    }

    /// With one thread for what takes long.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap()
    }

    /// A folder like those of a worker that was killed.
    fn remains(inside: &Folder) -> PathBuf {
        let remains = inside.file(&format!("{PREFIX}dead"));
        std::fs::create_dir_all(remains.join("attempt/work")).unwrap();
        std::fs::write(remains.with_extension(LOCK), "").unwrap();
        remains
    }

    #[test]
    fn a_folder_that_was_tidied_away_is_made_anew() {
        let inside = Folder::new();
        let scratch = Scratch::inside(Some(&inside.0));
        drop(scratch.folder().unwrap());
        let mut entries = std::fs::read_dir(&inside.0).unwrap().flatten().map(|entry| entry.path());
        let first = entries.find(|path| path.is_dir()).unwrap();
        let held = File::open(&first).unwrap().try_lock();
        assert!(matches!(held, Err(TryLockError::WouldBlock)), "systemd-tmpfiles would take it: {held:?}");

        std::fs::remove_dir(&first).unwrap();
        let folder = scratch.folder().unwrap();
        assert!(folder.work().is_dir() && !first.exists());
        assert_eq!(self::entries(&inside), 2, "one folder, and one lock");
    }

    #[test]
    fn nobody_waits_for_the_removal_of_what_is_left() {
        let inside = Folder::new();
        let remains = remains(&inside);
        let scratch = Scratch::inside(Some(&inside.0));
        let runtime = runtime();
        let (busy, until) = mpsc::channel::<()>();
        runtime.block_on(async {
            // As by the removal of very many files.
            let occupied = tokio::task::spawn_blocking(move || until.recv());
            let folder = scratch.folder().unwrap();
            assert!(remains.exists(), "somebody waited for its removal");
            let path = folder.0.clone();
            drop(folder);
            assert!(path.exists(), "somebody waited for its removal");
            drop(busy);
            occupied.await.unwrap().unwrap_err();
            eventually("all is removed", || (!remains.exists() && !path.exists()).then_some(())).await;
        });
    }

    #[test]
    fn a_runtime_that_ends_leaves_no_folder_of_an_attempt() {
        let inside = Folder::new();
        let scratch = Scratch::inside(Some(&inside.0));
        let runtime = runtime();
        let (busy, until) = mpsc::channel::<()>();
        let path = runtime.block_on(async {
            let _occupied = tokio::task::spawn_blocking(move || until.recv());
            let folder = scratch.folder().unwrap();
            folder.0.clone()
        });
        runtime.shutdown_background();
        drop(busy);
        self::runtime().block_on(eventually("it is removed", || (!path.exists()).then_some(())));
    }
}
