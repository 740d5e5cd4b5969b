//! The invariants of ARCHITECTURE.md as tests: they read the sources.
//!
//! Each check is a function from sources to complaints, so that a test beside it can show that it does complain.

mod error_pages;
mod layers;
pub(crate) mod lexer;
mod lifecycle_page;
mod links;
mod manifests;
mod migrations;
mod shape;
pub(crate) mod tree;

/// Fails with all complaints at once.
fn assert_tidy(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}
