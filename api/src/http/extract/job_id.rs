//! A job's id in the path.

use actix_web::HttpRequest;
use raincheck_shared::domain::JobId;

use crate::http::code::Code;
use crate::http::problem::Problem;

/// The `{id}` of the path. Only the usual hyphenated form is taken, so that each job has one URL.
pub(crate) fn job_id(request: &HttpRequest) -> Result<JobId, Problem> {
    read_job_id(request.match_info().get("id").unwrap_or_default()).ok_or_else(|| {
        Problem::new(Code::MalformedRequest, "a job's id is a UUID such as 0192f0c1-2345-7abc-8def-0123456789ab")
            .at("/id")
    })
}

/// The same for a bare text.
pub(crate) fn read_job_id(text: &str) -> Option<JobId> {
    if text.len() == 36 { text.parse().ok() } else { None }
}
