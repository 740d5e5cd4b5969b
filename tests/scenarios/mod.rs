//! Whole stories: real processes over real services, broken in the ways that services break.

mod runs;
mod api_killed;
mod worker_killed;
mod worker_stopped;
mod worker_drained;
mod rabbitmq_away;
mod postgres_away;
mod replicas;
mod embedded_killed;
