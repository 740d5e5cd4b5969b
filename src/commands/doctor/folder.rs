//! Can something be written in a folder, whether it is there yet or not?

use std::fs::File;
use std::path::Path;

/// Tries it there, or in the closest folder above that exists: what does not is made by whoever starts first. The error
/// begins with the folder that was tried. Nothing stays behind.
pub(super) fn try_to_write(folder: &Path) -> Result<(), String> {
    let is_here = |folder: &Path| folder.as_os_str().is_empty();
    let existing = folder.ancestors().find(|folder| is_here(folder) || folder.exists());
    let existing = existing.filter(|folder| !is_here(folder)).unwrap_or(Path::new("."));
    let probe = existing.join(format!(".raincheck-doctor-{}", std::process::id()));
    let tried = File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    tried.map_err(|error| format!("{}: {error}", existing.display()))
}
