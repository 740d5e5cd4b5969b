//! Replays the corpus: every input that once led somewhere new, and every one that once broke something.

#![expect(clippy::unwrap_used, reason = "an input that cannot be read stops the test")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raincheck_fuzz::TARGETS;

/// A long input, of the kind that a client may send.
const LONG: usize = 256 * 1024;
/// Without optimisation, on a busy machine. What grows with the square of its input takes minutes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Inputs of a target: those that lead to all the code that was reached, and those that broke something.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = files(&root.join("corpus").join(target));
    assert!(!corpus.is_empty(), "{target} has no corpus");
    corpus.into_iter().chain(files(&root.join("found").join(target))).collect()
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if !folder.exists() {
        return Vec::new();
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn every_law_holds_for_the_whole_corpus() {
    for target in TARGETS {
        for (path, bytes) in inputs(target.name) {
            // Shown when it breaks.
            println!("{}", path.display());
            target.run(&bytes);
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes on a real clock is the question")]
fn no_long_input_takes_long() {
    for target in TARGETS {
        for (path, bytes) in inputs(target.name).into_iter().filter(|(_, bytes)| !bytes.is_empty()).take(20) {
            let long: Vec<u8> = bytes.iter().copied().cycle().take(LONG).collect();
            let started = Instant::now();
            target.run(&long);
            let took = started.elapsed();
            assert!(took < PATIENCE, "{} over and over: {took:?}", path.display());
        }
    }
}
