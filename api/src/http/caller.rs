//! Whoever asks, for the endpoints: `access` has found out before a request comes to one.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::code::Code;
use super::problem::Problem;
use crate::engine::Caller;

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // An endpoint that is open to all has no caller: to ask for one there is a slip in the code.
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| Problem::new(Code::InternalError, "nobody has found out who asks")))
    }
}
