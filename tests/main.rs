//! All tests of raincheck as a whole: one binary, this is its table of contents.
//!
//! Tests against Postgres or RabbitMQ need a server: `scripts/test` starts them and says so in the environment. Without
//! it they fail, and say so: a test that was skipped must never look green.

#![expect(clippy::expect_used, reason = "a test that cannot go on stops and says why")]

mod api;
mod contracts;
mod harness;
mod scenarios;
mod tidy;
