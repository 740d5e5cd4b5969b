//! A lease's token in the path.

use actix_web::HttpRequest;

use crate::engine::LeaseToken;
use crate::http::code::Code;
use crate::http::problem::Problem;

/// The `{lease}` of the path.
pub(crate) fn lease_token(request: &HttpRequest) -> Result<LeaseToken, Problem> {
    request.match_info().get("lease").unwrap_or_default().parse().map_err(|_| {
        Problem::new(Code::MalformedRequest, "a lease's token is what `POST /v1/leases` answered as `token`")
            .at("/lease")
    })
}
