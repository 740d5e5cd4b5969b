//! All integration tests, as one binary. They need a PostgreSQL and a RabbitMQ: run them with `scripts/test`.

mod contracts;
mod harness;
