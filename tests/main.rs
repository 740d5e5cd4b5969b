//! All tests of raincheck as a whole: one binary, this is its table of contents.

mod api;
mod harness;
mod scenarios;
mod tidy;
