//! The OpenAPI document: what `GET /openapi.json` answers and the tests check every answer against.
//!
//! Each endpoint says what it takes and answers in an [`Operation`] beside its code. What they share is here:
//!
//! - `operation`: what can be said about an endpoint
//! - `paths`: all endpoints
//! - `parameters`, `headers`: what goes in and out besides bodies
//! - `schemas`: the JSON shapes
//! - `examples`: answers that the service really gave; a test gives them again
//! - `document`: all of it put together; `offers`: what of it is looked up for each request

mod document;
mod examples;
mod headers;
mod offers;
mod operation;
mod parameters;
mod paths;
mod schemas;

pub(crate) use document::document;
pub(crate) use headers::names as header_names;
pub(crate) use offers::Offers;
pub(crate) use operation::{Answer, Operation, media};
