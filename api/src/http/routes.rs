//! Every route, on one screen.

use actix_web::guard::{self, Guard};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{Resource, Route, web};

use super::code::Code;
use super::problem::Problem;
use super::{
    batches, cancel_job, complete_attempt, complete_lease, docs_page, erase_job, error_page, get_job, get_job_events,
    get_job_logs, get_openapi, get_result, held_lease, index, issue_ticket, jwks, kinds, lease_jobs, list_deliveries,
    list_jobs, livez, metrics, put_job, put_schedule, queues, readyz, redeliver, redrive, retry_job, schedules,
    submit_batch, submit_job, submit_raw,
};

/// Adds them all.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(at("/", "GET, HEAD").route(read().to(index::index)))
        .service(
            at("/v1/jobs", "GET, HEAD, POST")
                .route(read().to(list_jobs::list_jobs))
                .route(web::post().to(submit_job::submit_job)),
        )
        .service(
            // PUT as well: it is what `curl -T FILE` sends.
            at("/v1/kinds/{kind}/jobs", "POST, PUT")
                .route(web::post().to(submit_raw::submit_raw))
                .route(web::put().to(submit_raw::submit_raw)),
        )
        .service(at("/v1/kinds", "GET, HEAD").route(read().to(kinds::list_kinds)))
        .service(at("/v1/kinds/{kind}", "GET, HEAD").route(read().to(kinds::get_kind)))
        // Before the ids, none of which it is.
        .service(at("/v1/jobs/redrive", "POST").route(web::post().to(redrive::redrive)))
        .service(
            at("/v1/jobs/{id}", "GET, HEAD, PUT, DELETE")
                .route(read().to(get_job::get_job))
                .route(web::put().to(put_job::put_job))
                .route(web::delete().to(erase_job::erase_job)),
        )
        .service(at("/v1/jobs/{id}/result", "GET, HEAD").route(read().to(get_result::get_result)))
        .service(at("/v1/jobs/{id}/events", "GET, HEAD").route(read().to(get_job_events::get_job_events)))
        .service(at("/v1/jobs/{id}/logs", "GET, HEAD").route(read().to(get_job_logs::get_job_logs)))
        .service(at("/v1/jobs/{id}/cancel", "POST").route(web::post().to(cancel_job::cancel_job)))
        .service(at("/v1/jobs/{id}/retry", "POST").route(web::post().to(retry_job::retry_job)))
        .service(at("/v1/batches", "POST").route(web::post().to(submit_batch::submit_batch)))
        .service(at("/v1/batches/{batch}", "GET, HEAD").route(read().to(batches::get_batch)))
        .service(
            at("/v1/batches/{batch}/deliveries", "GET, HEAD").route(read().to(list_deliveries::list_batch_deliveries)),
        )
        .service(at("/v1/batches/{batch}/cancel", "POST").route(web::post().to(batches::cancel_batch)))
        .service(at("/v1/queues", "GET, HEAD").route(read().to(queues::list_queues)))
        .service(at("/v1/queues/{queue}", "GET, HEAD").route(read().to(queues::get_queue)))
        .service(at("/v1/queues/{queue}/pause", "POST").route(web::post().to(queues::pause_queue)))
        .service(at("/v1/queues/{queue}/resume", "POST").route(web::post().to(queues::resume_queue)))
        .service(at("/v1/schedules", "GET, HEAD").route(read().to(schedules::list_schedules)))
        .service(
            at("/v1/schedules/{schedule}", "GET, HEAD, PUT, DELETE")
                .route(read().to(schedules::get_schedule))
                .route(web::put().to(put_schedule::put_schedule))
                .route(web::delete().to(schedules::delete_schedule)),
        )
        .service(at("/v1/schedules/{schedule}/pause", "POST").route(web::post().to(schedules::pause_schedule)))
        .service(at("/v1/schedules/{schedule}/resume", "POST").route(web::post().to(schedules::resume_schedule)))
        .service(at("/v1/schedules/{schedule}/trigger", "POST").route(web::post().to(schedules::trigger_schedule)))
        .service(at("/v1/leases", "POST").route(web::post().to(lease_jobs::lease_jobs)))
        .service(at("/v1/leases/{lease}/heartbeat", "POST").route(web::post().to(held_lease::heartbeat)))
        .service(at("/v1/leases/{lease}/progress", "POST").route(web::post().to(held_lease::progress)))
        .service(at("/v1/leases/{lease}/logs", "POST").route(web::post().to(held_lease::logs)))
        .service(at("/v1/leases/{lease}/complete", "POST").route(web::post().to(complete_lease::complete)))
        .service(at("/v1/leases/{lease}/fail", "POST").route(web::post().to(held_lease::fail)))
        .service(at("/v1/leases/{lease}/release", "POST").route(web::post().to(held_lease::release)))
        .service(at("/v1/leases/{lease}/input", "GET, HEAD").route(read().to(complete_lease::input)))
        .service(at("/v1/completions/{completion}", "POST").route(web::post().to(complete_attempt::complete_attempt)))
        .service(at("/metrics", "GET, HEAD").route(read().to(metrics::get_metrics)))
        .service(at("/v1/jobs/{id}/tickets", "POST").route(web::post().to(issue_ticket::issue_ticket)))
        .service(at("/v1/jobs/{id}/deliveries", "GET, HEAD").route(read().to(list_deliveries::list_deliveries)))
        .service(at("/v1/deliveries/{id}/redeliver", "POST").route(web::post().to(redeliver::redeliver)))
        .service(at("/.well-known/jwks.json", "GET, HEAD").route(read().to(jwks::jwks)))
        .service(at("/livez", "GET, HEAD").route(read().to(livez::livez)))
        .service(at("/readyz", "GET, HEAD").route(read().to(readyz::readyz)))
        .service(at("/openapi.json", "GET, HEAD").route(read().to(get_openapi::get_openapi)))
        .service(at("/docs", "GET, HEAD").route(read().to(docs_page::docs_page)))
        .service(at("/docs/errors/{code}", "GET, HEAD").route(read().to(error_page::error_page)))
        .default_service(web::to(route_not_found));
}

/// A path, and the methods it takes.
fn at(path: &str, allow: &'static str) -> Resource {
    let refuse = move || async move {
        let problem = Problem::new(Code::MethodNotAllowed, format!("this path takes {allow}"));
        Err::<&str, _>(problem.with_header(ALLOW, HeaderValue::from_static(allow)))
    };
    web::resource(path).default_service(web::to(refuse))
}

/// GET, and HEAD, which is GET without the body.
fn read() -> Route {
    web::route().guard(guard::fn_guard(|context| guard::Get().check(context) || guard::Head().check(context)))
}

/// What is said of a path that nobody answers.
pub(super) fn nothing_here() -> Problem {
    Problem::new(Code::RouteNotFound, "there is nothing at this path")
}

async fn route_not_found() -> Result<&'static str, Problem> {
    Err(nothing_here())
}
