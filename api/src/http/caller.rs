//! Who asks. Every endpoint that touches jobs takes a [`Caller`], and asks the engine in its name.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use raincheck_shared::domain::TenantName;

/// Whoever sent a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// Whose jobs are all that there are for it.
    pub(crate) tenant: TenantName,
}

impl FromRequest for Caller {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::default()))
    }
}
