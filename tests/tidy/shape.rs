//! Sizes, names, and attributes that hide things.

use super::assert_tidy;
use super::lexer::lex;
use super::tree::{File, rust_sources, sources};

const LINES: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 12] = [
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "types",
    "models",
    "manager",
    "service",
    "processor",
    "base",
];

fn too_long(files: &[File]) -> Vec<String> {
    let lines = |file: &File| file.text.lines().count();
    let long = files.iter().filter(|file| lines(file) > LINES);
    long.map(|file| format!("{}: {} lines, {LINES} are allowed", file.path, lines(file))).collect()
}

fn empty_names(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        for part in file.path.split('/') {
            let name = part.split('.').next().unwrap_or_default();
            if name.split('_').any(|word| EMPTY_NAMES.contains(&word)) {
                complaints.push(format!("{}: {name:?} does not say what is inside", file.path));
            }
        }
    }
    complaints
}

fn hidden(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let lexed = lex(&file.text);
        for (attribute, instead) in [
            ("[allow(", "`#[expect(…, reason = \"…\")]` says why, and goes when it is no longer needed"),
            ("[ignore", "a test that does not run must not look green"),
        ] {
            for line in lexed.lines_with(attribute) {
                complaints.push(format!("{}:{line}: `#{attribute}`: {instead}", file.path));
            }
        }
        if lexed.lines_with("[expect(").len() > lexed.lines_with("reason =").len() {
            complaints.push(format!("{}: an `#[expect(…)]` gives no reason", file.path));
        }
    }
    complaints
}

#[test]
fn no_file_is_longer_than_400_lines() {
    assert_tidy(&too_long(&sources(&["rs", "sql"])));
}

#[test]
fn every_file_is_named_after_what_it_owns() {
    assert_tidy(&empty_names(&sources(&["rs", "sql"])));
}

#[test]
fn no_lint_is_silenced_without_a_reason_and_no_test_is_ignored() {
    assert_tidy(&hidden(&rust_sources()));
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(too_long(&[File::new("a.rs", &"x\n".repeat(401))]).len(), 1);
    assert_tidy(&too_long(&[File::new("a.rs", &"x\n".repeat(400))]));
}

#[test]
fn an_empty_name_is_found() {
    for path in ["api/src/utils.rs", "api/src/common/mod.rs", "tests/helpers.rs", "worker/src/job_manager.rs"] {
        assert_eq!(empty_names(&[File::new(path, "")]).len(), 1, "{path}");
    }
    assert_tidy(&empty_names(&[File::new("shared/src/domain/retry_policy.rs", "")]));
}

#[test]
fn a_silenced_lint_and_an_ignored_test_are_found() {
    for text in [
        "#[allow(dead_code)]\nfn f() {}",
        "#![allow(dead_code)]",
        "#[test]\n#[ignore]\nfn t() {}",
        "#[ignore = \"slow\"]",
        "#[expect(dead_code)]\nfn f() {}",
    ] {
        assert_eq!(hidden(&[File::new("a.rs", text)]).len(), 1, "{text}");
    }
    let fine = "#[expect(dead_code, reason = \"shown in a test\")]\nfn f() {} // #[allow(dead_code)] is not used";
    assert_tidy(&hidden(&[File::new("a.rs", fine)]));
}
