//! One test binary; this is its table of contents.
//!
//! Tests against RabbitMQ need a server: `scripts/test` starts one and sets `RAINCHECK_TEST_AMQP_URL`. Without it they
//! fail, and say so: a test that was skipped must never look green.

#![expect(clippy::expect_used, reason = "a test that cannot go on stops and says why")]

mod contracts;
mod harness;
