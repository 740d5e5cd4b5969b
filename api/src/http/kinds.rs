//! `GET /v1/kinds` and `GET /v1/kinds/{kind}`: what can be asked for, and within which limits.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::config::Kind;
use serde::Serialize;

use super::Front;
use super::answer::cacheable_json;
use super::code::Code;
use super::extract::Query;
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::{KindView, RunTimeView};

#[derive(Debug, Serialize)]
struct Kinds<'a> {
    kinds: Vec<KindView<'a>>,
}

/// Lists all kinds, by name.
pub(crate) async fn list_kinds(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    let settings = front.desk.settings();
    let body = Kinds { kinds: settings.kinds.values().map(|kind| view(&front, kind)).collect() };
    cacheable_json(&request, &body)
}

/// Shows one kind.
pub(crate) async fn get_kind(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    let name = request.match_info().get("kind").unwrap_or_default();
    let known = name.parse().ok().and_then(|name| front.desk.settings().kinds.get(&name));
    let Some(kind) = known else {
        let shown: String = name.chars().take(80).collect();
        return Err(Problem::new(Code::KindNotFound, format!("there is no kind {shown:?}")));
    };
    cacheable_json(&request, &view(&front, kind))
}

fn view<'a>(front: &'a Front, kind: &'a Kind) -> KindView<'a> {
    let run_time = front.desk.outlook().run_times(&kind.name).map(RunTimeView::from);
    KindView::new(kind, front.desk.settings(), run_time, &front.links)
}

pub(crate) fn list_operation() -> Operation {
    said(Operation::new("listKinds", "kinds", "All kinds, by name"), "Kinds", "kinds")
}

pub(crate) fn operation() -> Operation {
    said(Operation::new("getKind", "kinds", "One kind").takes(&["kind"]), "Kind", "kind").fails(&[Code::KindNotFound])
}

fn said(operation: Operation, schema: &str, example: &str) -> Operation {
    operation
        .says("What clients may know: what it takes and within which limits, not what runs it.")
        .takes(&["If-None-Match"])
        .answers(Answer::new(200, "As configured.").json(schema, &[example]).headers(&["ETag"]))
        .answers(Answer::new(304, "It is as the client has it.").headers(&["ETag"]))
        .fails(&[Code::InputInvalid])
}
