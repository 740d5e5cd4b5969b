//! Whole stories: real processes over real services, broken in the ways that services break.

mod api_killed;
mod batch_counted;
mod blobs_cut;
mod blobs_full;
mod crowd;
mod embedded_killed;
mod events_followed;
mod large_bodies;
mod limits;
mod nobody_starved;
mod postgres_away;
mod program_contained;
mod queue_paused;
mod rabbitmq_away;
mod remote_workers;
mod replicas;
mod runs;
mod schedules_ticked;
mod takeaway;
mod tenants;
mod upstream_awaited;
mod upstream_calls_back;
mod webhooks_told;
mod worker_drained;
mod worker_killed;
mod worker_stopped;
