//! The tests, one binary. This file is their table of contents.

mod tidy;
