//! Keeps `raincheck.default.toml` complete, and `docs/configuration.md` the same as it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use super::section::Section;
use super::tests::from_file;
use super::{DEFAULTS, Flags, layers, load};

/// What the page says above its generated part.
const MARK: &str = "with RAINCHECK_WRITE_DOCS=1. -->\n";

/// A key of the default file with the comment above it.
struct Entry {
    section: String,
    key: String,
    value: String,
    comment: String,
}

impl Entry {
    fn dotted(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

/// Every key that has a comment above it. Those of the commented examples of a kind and a schedule are in `kinds.*` and
/// `schedules.*`; the built-in kinds are left out.
fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    let (mut section, mut comment) = (String::new(), Vec::new());
    for line in DEFAULTS.lines() {
        let text = if section.ends_with(".*") { line.strip_prefix("# ").unwrap_or(line) } else { line };
        if line == "# [kinds.wordcount]" {
            section = "kinds.*".to_owned();
        } else if line == "# [schedules.nightly]" {
            section = "schedules.*".to_owned();
        } else if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some(said) = text.strip_prefix("# ") {
            comment.push(said.to_owned());
            continue;
        } else if let Some((key, value)) = text.split_once(" = ")
            && !comment.is_empty()
        {
            let (section, comment) = (section.clone(), comment.join(" "));
            entries.push(Entry { section, key: key.to_owned(), value: value.to_owned(), comment });
        }
        comment.clear();
    }
    entries.retain(|entry| !entry.section.starts_with("kinds.") || entry.section == "kinds.*");
    entries
}

/// Every dotted key that the loader asks for; `kinds.*` for those of a kind, `schedules.*` for those of a schedule.
fn known_keys() -> BTreeSet<String> {
    let schedule = [("schedules.nightly.cron", "0 7 * * *"), ("schedules.nightly.kind", "echo")];
    let set = schedule.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let flags = Flags { file: Some("/dev/null".into()), set };
    let mut root = Section::root(layers::merge(&flags, &BTreeMap::new(), &mut Vec::new()));
    load::read(&mut root, &BTreeMap::new()).unwrap();
    let sections = root.asked();
    let inner = sections.iter().filter(|key| key.contains('.'));
    let own = ["echo", "sleep", "takeaway"].map(|kind| format!("kinds.{kind}."));
    inner
        .map(|key| match own.iter().find_map(|prefix| key.strip_prefix(prefix.as_str())) {
            Some(rest) => format!("kinds.*.{rest}"),
            None => key.replace("schedules.nightly.", "schedules.*."),
        })
        .collect()
}

#[test]
fn the_default_file_says_what_every_key_is_for_and_names_no_other() {
    let documented: BTreeSet<String> = entries().iter().map(Entry::dotted).collect();
    assert_eq!(documented, known_keys());
    for entry in entries() {
        assert!(entry.comment.ends_with('.') || entry.comment.ends_with('"'), "{}: {}", entry.dotted(), entry.comment);
    }
}

#[test]
fn the_example_of_a_kind_is_valid_with_any_one_of_its_runners() {
    let example: Vec<&str> = DEFAULTS
        .lines()
        .skip_while(|line| *line != "# [kinds.wordcount]")
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| !line.starts_with("schema_file"))
        .collect();
    for (runner, others) in [
        (
            "command",
            &[
                "http ",
                "headers",
                "statuses",
                "completion",
                "ca_file",
                "delete_on_cancel",
                "handler",
                "remote",
                "builtin",
            ] as &[&str],
        ),
        ("http", &["command", "env", "directory", "output", "memory", "retry_exit_codes"]),
    ] {
        let lines = example.iter().filter(|line| !others.iter().any(|other| line.starts_with(other)));
        let toml: Vec<&str> = lines
            .copied()
            .filter(|line| {
                runner == "command" || !["handler", "remote", "builtin"].iter().any(|other| line.starts_with(other))
            })
            .collect();
        let toml = toml.join("\n").replace('…', "x");
        assert!(from_file("example", &toml).is_ok(), "{runner}: {:?}\n{toml}", from_file("example", &toml).err());
    }
}

#[test]
fn the_example_of_a_schedule_is_valid() {
    let example = DEFAULTS.lines().skip_while(|line| *line != "# [schedules.nightly]");
    let example = example.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("# "));
    let toml = |without: &str| {
        let lines = example.clone().filter(|line| !line.starts_with(without));
        lines.collect::<Vec<_>>().join("\n").replace("catch_up = \"one\"", "catch_up = \"all\"")
    };
    for without in ["input_json", "input "] {
        let read = from_file("example-of-a-schedule", &toml(without));
        assert!(read.is_ok(), "{without}: {:?}", read.err());
    }
}

#[test]
fn the_configuration_page_lists_the_default_file() {
    let mut tables = String::new();
    let mut section = String::new();
    for entry in entries() {
        if entry.section != section {
            section.clone_from(&entry.section);
            let title = section.replace('*', "NAME");
            let shown = if section.ends_with(".*") { "default or example" } else { "default" };
            write!(tables, "\n### `[{title}]`\n\n| key | {shown} | |\n|---|---|---|\n").unwrap();
        }
        let comment = entry.comment.replace('|', "\\|");
        writeln!(tables, "| `{}` | `{}` | {comment} |", entry.key, entry.value).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (by_hand, _) = page.split_once(MARK).unwrap();
    let expected = format!("{by_hand}{MARK}{tables}");
    if std::env::var_os("RAINCHECK_WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(page, expected, "run this test with RAINCHECK_WRITE_DOCS=1");
    }
}
