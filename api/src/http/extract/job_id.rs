//! A job's id in the path.

use actix_web::HttpRequest;
use raincheck_shared::domain::JobId;

use crate::http::code::Code;
use crate::http::problem::Problem;

/// The `{id}` of the path. Only the usual hyphenated form is taken, so that each job has one URL.
pub(crate) fn job_id(request: &HttpRequest) -> Result<JobId, Problem> {
    let text = request.match_info().get("id").unwrap_or_default();
    let id = if text.len() == 36 { text.parse().ok() } else { None };
    id.ok_or_else(|| {
        Problem::new(Code::MalformedRequest, "a job's id is a UUID such as 0192f0c1-2345-7abc-8def-0123456789ab")
            .at("/id")
    })
}
