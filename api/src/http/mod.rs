//! The HTTP of it: routes, wire shapes, problems. Everything that happens is the engine's doing.
//!
//! - `server`: sockets, threads, draining
//! - `routes`: every route, on one screen
//! - one file for each endpoint
//! - `extract`: what requests carry; `wire`: the JSON shapes
//! - `problem`, `code`, `refusals`: everything that is not a success
//! - `openapi`: what all of it takes and answers, for programs
//! - `access`: lets requests through to their endpoints, by `own_hosts` where there are no keys; `caller` tells those who asks
//! - `every_request`: what happens around each request, with `cross_origin` and `access_log`; `bare_errors`: what happens before there is one,
//!   by `answers_written`
//! - `event_stream`: frames of server-sent events; `patient_writes`: who takes nothing is hung up on; `patient_heads`: so is who asks
//!   for nothing, by `progress`; `hang_ups`: who hung up; `unread_body`: who
//!   is answered before all was read

mod access;
mod access_log;
mod answer;
mod answers_written;
mod bare_errors;
mod batches;
mod caller;
mod cancel_job;
mod code;
mod complete_attempt;
mod complete_lease;
mod cross_origin;
mod docs_page;
mod erase_job;
mod error_page;
mod event_stream;
mod every_request;
mod extract;
mod front;
mod get_job;
mod get_job_events;
mod get_job_logs;
mod get_openapi;
mod get_result;
mod hang_ups;
mod held_lease;
mod index;
mod issue_ticket;
mod jwks;
mod kinds;
#[cfg(feature = "laws")]
pub(crate) mod laws;
mod lease_jobs;
mod list_deliveries;
mod list_jobs;
mod livez;
mod metrics;
mod openapi;
mod own_hosts;
mod patient_heads;
mod patient_writes;
mod problem;
mod progress;
mod put_job;
mod put_schedule;
mod queues;
mod readyz;
mod redeliver;
mod redrive;
mod refusals;
mod retry_job;
mod routes;
mod schedules;
mod server;
mod submit_batch;
mod submit_job;
mod submit_raw;
mod submitted;
mod unread_body;
mod wire;

pub(crate) use crate::engine::Caller;
pub(crate) use front::Front;
pub(crate) use openapi::document;
pub(crate) use server::listen;
// The Job as webhooks tell it is the Job as it is read.
pub(crate) use wire::{BatchView, JobView, LinkBase};
