//! No document points to a file that is not there.

use std::path::Path;

use super::assert_tidy;
use super::tree::{File, root, sources};

/// What the links and pictures of a Markdown text point to.
fn targets(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            found.extend(rest.split([')', ' ']).next());
        }
        // `[name]: target`
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            found.push(target.trim());
        }
    }
    found
}

fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| -> String {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(slug).collect()
}

fn dead(files: &[File], root: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        for target in targets(&file.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
            let at = if path.is_empty() { root.join(&file.path) } else { root.join(folder).join(path) };
            if !at.exists() {
                complaints.push(format!("{}: a dead link to {target}", file.path));
            } else if !anchor.is_empty() {
                let text =
                    if path.is_empty() { file.text.clone() } else { std::fs::read_to_string(at).unwrap_or_default() };
                if !anchors(&text).iter().any(|a| a == anchor) {
                    complaints.push(format!("{}: no such heading: {target}", file.path));
                }
            }
        }
    }
    complaints
}

/// Names in backticks that read like a test's: four words at least, and not a metric's.
fn named_tests(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let like_a_test = |name: &&str| {
        name.split('_').count() > 3
            && !name.starts_with("raincheck_")
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    quoted.filter(like_a_test).collect()
}

fn missing_tests(documents: &[File], sources: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for document in documents {
        for name in named_tests(&document.text) {
            if !sources.iter().any(|source| source.text.contains(&format!("fn {name}("))) {
                complaints.push(format!("{}: there is no test `{name}`", document.path));
            }
        }
    }
    complaints
}

#[test]
fn every_test_that_a_document_names_exists() {
    assert_tidy(&missing_tests(&sources(&["md"]), &sources(&["rs"])));
}

#[test]
fn a_missing_test_is_found() {
    let document = File::new("ARCHITECTURE.md", "guarded by `a_test_that_is_gone`, and `max_run_timeout`");
    assert_eq!(missing_tests(std::slice::from_ref(&document), &[]).len(), 1);
    assert_tidy(&missing_tests(&[document], &[File::new("a.rs", "fn a_test_that_is_gone() {}")]));
}

#[test]
fn no_link_is_dead() {
    assert_tidy(&dead(&sources(&["md"]), &root()));
}

#[test]
fn a_dead_link_is_found() {
    for text in ["see [x](docs/none.md)", "[a]: docs/none.md", "[x](#no-such-heading)", "[x](Cargo.toml#nor-here)"] {
        assert_eq!(dead(&[File::new("README.md", text)], &root()).len(), 1, "{text}");
    }
    let fine = "# A heading, with `code`\n[x](Cargo.toml) [y](https://example.com) [z](#a-heading-with-code)\n```\n[x](none)\n```";
    assert_tidy(&dead(&[File::new("README.md", fine)], &root()));
}
