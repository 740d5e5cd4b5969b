//! raincheck's HTTP API, its outbox relay and its repair loops.

pub mod upkeep;
