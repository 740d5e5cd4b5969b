//! Every dependency has its reason, and the lints that guard invariant 4 are in force.

use super::assert_tidy;
use super::tree::{file, sources};

fn unexplained(manifest: &str) -> Vec<String> {
    let section = manifest.split_once("\n[workspace.dependencies]\n").map_or("", |(_, rest)| rest);
    let section = section.split_once("\n[").map_or(section, |(section, _)| section);
    let (mut complaints, mut above, mut open) = (Vec::new(), "", false);
    for line in section.lines() {
        let starts_one = !open && line.contains('=') && !line.starts_with([' ', '#', '}', ']']);
        if starts_one && !line.contains("path = ") && !above.starts_with('#') {
            complaints
                .push(format!("Cargo.toml: no reason above `{}`", line.split('=').next().unwrap_or_default().trim()));
        }
        open = if open { !line.starts_with([']', '}']) } else { starts_one && line.ends_with(['[', '{']) };
        above = line;
    }
    complaints
}

fn missing_bans(clippy: &str) -> Vec<String> {
    let bans = [
        "std::time::Instant::now",
        "std::time::SystemTime::now",
        "time::OffsetDateTime::now_utc",
        "uuid::Uuid::now_v7",
        "uuid::Uuid::new_v4",
        "tokio::spawn",
        "tokio_util::task::TaskTracker::spawn",
    ];
    let missing = bans.iter().filter(|ban| !clippy.contains(&format!("path = \"{ban}\", reason = ")));
    missing.map(|ban| format!("clippy.toml: `{ban}` is not disallowed")).collect()
}

fn missing_lints(manifest: &str) -> Vec<String> {
    let lints = [
        "unsafe_code = \"forbid\"",
        "unwrap_used = \"warn\"",
        "expect_used = \"warn\"",
        "print_stdout = \"warn\"",
        "await_holding_lock = \"warn\"",
        "disallowed_methods = \"warn\"",
        "pedantic = { level = \"warn\", priority = -1 }",
    ];
    let missing = lints.iter().filter(|lint| !manifest.contains(**lint));
    missing.map(|lint| format!("Cargo.toml: the lint `{lint}` is gone")).collect()
}

#[test]
fn every_dependency_has_its_reason_above_it() {
    assert_tidy(&unexplained(&file("Cargo.toml").text));
}

#[test]
fn clock_ids_and_tasks_are_out_of_reach_for_all_but_their_owners() {
    assert_tidy(&missing_bans(&file("clippy.toml").text));
    assert_tidy(&missing_lints(&file("Cargo.toml").text));
}

#[test]
fn every_package_takes_its_versions_and_lints_from_the_workspace() {
    let mut complaints = Vec::new();
    for manifest in sources(&["toml"]).iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        if !manifest.text.contains("[lints]\nworkspace = true") {
            complaints.push(format!("{}: the workspace's lints do not hold here", manifest.path));
        }
        let mut section = "";
        for line in manifest.text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if section.ends_with("dependencies]")
                && section != "[workspace.dependencies]"
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true")
            {
                complaints.push(format!("{}: `{line}`: versions stand in the workspace's manifest", manifest.path));
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let good = "[workspace]\n\n[workspace.dependencies]\nours = { path = \"ours\" }\n\n# why\na = \"1\"\n# why\nb = { version = \"1\", features = [\n    \"x\",\n] }\n\n[profile.dev]\nc = 1\n";
    assert_tidy(&unexplained(good));
    assert_eq!(unexplained(&good.replace("# why\nb", "b")).len(), 1);
    assert_eq!(unexplained(&good.replace("\n\n# why\na", "\na")).len(), 1);
}

#[test]
fn a_lifted_ban_and_a_lifted_lint_are_found() {
    let clippy = file("clippy.toml").text;
    assert_eq!(missing_bans(&clippy.replace("tokio::spawn", "tokio::spare")).len(), 1);
    let manifest = file("Cargo.toml").text;
    assert_eq!(missing_lints(&manifest.replace("expect_used = \"warn\"", "")).len(), 1);
}
