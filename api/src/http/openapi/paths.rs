//! All endpoints. A test compares them with the routes.

use super::Operation;
use crate::http::{
    batches, cancel_job, docs_page, erase_job, error_page, get_job, get_job_events, get_job_logs, get_openapi,
    get_result, index, issue_ticket, jwks, kinds, list_deliveries, list_jobs, livez, metrics, put_job, put_schedule,
    queues, readyz, redeliver, retry_job, schedules, submit_batch, submit_job, submit_raw,
};

/// Path, method, and what is said about it. HEAD is GET without the body, and is not named.
pub(super) fn operations() -> Vec<(&'static str, &'static str, Operation)> {
    vec![
        ("/v1/jobs", "post", submit_job::operation()),
        ("/v1/kinds/{kind}/jobs", "post", submit_raw::operation("submitRaw")),
        ("/v1/kinds/{kind}/jobs", "put", submit_raw::operation("putRaw")),
        ("/v1/jobs/{id}", "get", get_job::operation()),
        ("/v1/jobs/{id}", "put", put_job::operation()),
        ("/v1/jobs/{id}", "delete", erase_job::operation()),
        ("/v1/jobs/{id}/result", "get", get_result::operation()),
        ("/v1/jobs/{id}/events", "get", get_job_events::operation()),
        ("/v1/jobs/{id}/logs", "get", get_job_logs::operation()),
        ("/v1/jobs/{id}/cancel", "post", cancel_job::operation()),
        ("/v1/jobs/{id}/retry", "post", retry_job::operation()),
        ("/v1/jobs/{id}/tickets", "post", issue_ticket::operation()),
        ("/v1/jobs/{id}/deliveries", "get", list_deliveries::operation()),
        ("/v1/deliveries/{id}/redeliver", "post", redeliver::operation()),
        ("/.well-known/jwks.json", "get", jwks::operation()),
        ("/v1/kinds", "get", kinds::list_operation()),
        ("/v1/kinds/{kind}", "get", kinds::operation()),
        ("/v1/jobs", "get", list_jobs::operation()),
        ("/v1/batches", "post", submit_batch::operation()),
        ("/v1/batches/{batch}", "get", batches::operation()),
        ("/v1/batches/{batch}/deliveries", "get", list_deliveries::batch_operation()),
        ("/v1/batches/{batch}/cancel", "post", batches::cancel_operation()),
        ("/v1/queues", "get", queues::list_operation()),
        ("/v1/queues/{queue}", "get", queues::operation()),
        ("/v1/queues/{queue}/pause", "post", queues::pause_operation()),
        ("/v1/queues/{queue}/resume", "post", queues::resume_operation()),
        ("/v1/schedules", "get", schedules::list_operation()),
        ("/v1/schedules/{schedule}", "get", schedules::operation()),
        ("/v1/schedules/{schedule}", "put", put_schedule::operation()),
        ("/v1/schedules/{schedule}", "delete", schedules::delete_operation()),
        ("/v1/schedules/{schedule}/pause", "post", schedules::pause_operation()),
        ("/v1/schedules/{schedule}/resume", "post", schedules::resume_operation()),
        ("/v1/schedules/{schedule}/trigger", "post", schedules::trigger_operation()),
        ("/metrics", "get", metrics::operation()),
        ("/", "get", index::operation()),
        ("/livez", "get", livez::operation()),
        ("/readyz", "get", readyz::operation()),
        ("/openapi.json", "get", get_openapi::operation()),
        ("/docs", "get", docs_page::operation()),
        ("/docs/errors/{code}", "get", error_page::operation()),
    ]
}
