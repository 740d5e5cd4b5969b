//! All tests of raincheck as a whole: one binary, this is its table of contents.

mod cli;
mod harness;
mod scenarios;
mod tidy;
