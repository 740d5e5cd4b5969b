//! Every error code has its page, and every page its code.

use std::collections::BTreeSet;

use super::assert_tidy;
use super::lexer::lex;
use super::tree::{file, sources};

/// Codes of problems: the literals of the table that read like a code.
fn problem_codes(source: &str) -> BTreeSet<String> {
    let table = source.split("\ncodes! {").nth(1).unwrap_or_default();
    let table = table.split("\n}").next().unwrap_or_default();
    let like_a_code = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    lex(table).strings.into_iter().map(|(_, text)| text).filter(|text| like_a_code(text)).collect()
}

/// Codes of failures: the variants of the enum, as serde writes them.
fn failure_codes(source: &str) -> BTreeSet<String> {
    let body = source.split("pub enum FailureCode {").nth(1).unwrap_or_default();
    let body = lex(body.split('}').next().unwrap_or_default()).code;
    let variants = body.split(',').map(str::trim).filter(|variant| !variant.is_empty());
    variants.map(kebab).collect()
}

fn kebab(variant: &str) -> String {
    let mut code = String::new();
    for c in variant.chars() {
        if c.is_ascii_uppercase() && !code.is_empty() {
            code.push('-');
        }
        code.push(c.to_ascii_lowercase());
    }
    code
}

fn complaints(codes: &BTreeSet<String>, pages: &BTreeSet<String>) -> Vec<String> {
    let no_page = codes.difference(pages).map(|code| format!("docs/errors/{code}.md is missing"));
    let no_code = pages.difference(codes).map(|page| format!("docs/errors/{page}.md: there is no such code"));
    no_page.chain(no_code).collect()
}

fn codes() -> (BTreeSet<String>, BTreeSet<String>) {
    let problems = problem_codes(&file("api/src/http/code.rs").text);
    let failures = failure_codes(&file("shared/src/domain/failure.rs").text);
    assert!(problems.len() > 10 && failures.len() > 4, "the codes were not found: {problems:?}, {failures:?}");
    (problems, failures)
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let (problems, failures) = codes();
    let pages = sources(&["md"]);
    let names = pages.iter().filter_map(|page| page.path.strip_prefix("docs/errors/")?.strip_suffix(".md"));
    let pages: BTreeSet<String> = names.filter(|name| *name != "README").map(str::to_owned).collect();
    assert_tidy(&complaints(&problems.union(&failures).cloned().collect(), &pages));
}

#[test]
fn the_page_of_the_http_api_names_every_code() {
    let (problems, failures) = codes();
    let page = file("docs/http-api.md").text;
    let missing = problems.union(&failures).filter(|code| !page.contains(&format!("errors/{code}.md")));
    assert_tidy(&missing.map(|code| format!("docs/http-api.md does not link to {code}")).collect::<Vec<_>>());
}

#[test]
fn a_missing_page_and_an_idle_page_are_found() {
    let table = "macro\ncodes! {\n    QueueFull = BUSY, \"queue-full\", \"There is no room\", retryable: true;\n}\n";
    let enumeration = "pub enum FailureCode {\n    /// It's late.\n    RunTimeout,\n    WorkerLost,\n}";
    let problems = problem_codes(table);
    assert_eq!(problems, BTreeSet::from(["queue-full".to_owned()]));
    assert_eq!(failure_codes(enumeration), BTreeSet::from(["run-timeout".to_owned(), "worker-lost".to_owned()]));
    assert_tidy(&complaints(&problems, &problems));
    assert_eq!(complaints(&problems, &BTreeSet::from(["idle".to_owned()])).len(), 2);
}
