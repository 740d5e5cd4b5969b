//! `GET /.well-known/jwks.json`: the keys with which anybody can check webhooks' `v1a` signatures.

use actix_web::{HttpResponse, web};

use super::Front;
use super::answer::json;
use super::openapi::{Answer, Operation};
use super::problem::Problem;

/// A JSON Web Key Set; empty while no key is configured.
pub(crate) async fn jwks(front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let body = serde_json::json!({ "keys": front.desk.public_keys() });
    json(HttpResponse::Ok().insert_header(("Cache-Control", "public, max-age=300")), &body)
}

pub(crate) fn operation() -> Operation {
    Operation::new("keys", "webhooks", "The public keys of webhooks' signatures")
        .answers(Answer::new(200, "A JSON Web Key Set (RFC 7517).").json("KeySet", &["key-set"]))
}
