//! All tests of raincheck as a whole: one binary, this is its table of contents.
//!
//! Tests against Postgres and RabbitMQ need servers: `scripts/test` starts them and sets `RAINCHECK_TEST_POSTGRES_URL`
//! and `RAINCHECK_TEST_AMQP_URL`. Without them they fail, and say so: a test that was skipped must never look green.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on stops and says why")]

mod api;
mod cli;
mod contracts;
mod harness;
mod scenarios;
mod tidy;
