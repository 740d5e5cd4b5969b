//! What can be said about an endpoint, and how OpenAPI says it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::examples::example;
use super::{headers, parameters};
use crate::http::access::Need;
use crate::http::code::Code;

/// What can befall any request.
const ALWAYS: [Code; 4] = [Code::MalformedRequest, Code::NotAcceptable, Code::RequestTimeout, Code::InternalError];

/// One method of one path.
#[derive(Debug)]
pub(crate) struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: String,
    parameters: Vec<&'static str>,
    body: Option<Value>,
    answers: Vec<Answer>,
    codes: Vec<Code>,
    security: Vec<Value>,
    callbacks: Map<String, Value>,
}

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    description: &'static str,
    headers: Vec<&'static str>,
    content: Map<String, Value>,
    links: Map<String, Value>,
}

impl Operation {
    /// An operation, the group it is shown in, and what it does in a few words.
    pub(crate) fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            description: String::new(),
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            codes: ALWAYS.to_vec(),
            security: Vec::new(),
            callbacks: Map::new(),
        }
    }

    /// Says more about it, in Markdown.
    pub(crate) fn says(mut self, text: &str) -> Self {
        text.clone_into(&mut self.description);
        self
    }

    /// Takes parameters, by their names in `parameters`.
    pub(crate) fn takes(mut self, names: &[&'static str]) -> Self {
        self.parameters.extend(names);
        self
    }

    /// Takes a JSON body of a schema.
    pub(crate) fn json_body(self, schema: &str, required: bool, examples: &[&str]) -> Self {
        let content = media(&reference("schemas", schema), examples);
        self.body(json!({ "required": required, "content": { "application/json": content } }))
    }

    /// Takes a body, as OpenAPI says it, and holds it to its digest.
    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self.takes(&["Content-Digest"]).fails(&[Code::DigestMismatch, Code::PayloadTooLarge])
    }

    /// Has nothing to be told: a body may be left out or be an empty object.
    pub(crate) fn nothing_to_say(self) -> Self {
        self.json_body("Nothing", false, &["nothing"]).fails(&[Code::InputInvalid])
    }

    /// Answers so when all is well.
    pub(crate) fn answers(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Makes calls of its own: the path item of that name, at the URL that a runtime expression finds in the request.
    pub(crate) fn calls(mut self, path_item: &str, expression: &str) -> Self {
        self.callbacks.insert(path_item.to_owned(), json!({ expression: reference("pathItems", path_item) }));
        self
    }

    /// Answers with these problems, besides those that can befall any request.
    pub(crate) fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Reads query parameters, looks into the store: what that can come to.
    pub(crate) fn reads(self) -> Self {
        self.fails(&[Code::InputInvalid, Code::StoreUnavailable, Code::ShuttingDown, Code::QueueFull])
    }

    /// Is for those who show what it needs.
    pub(super) fn asks_for(mut self, need: Need) -> Self {
        self.security = match need {
            Need::Nothing => return self,
            Need::Scope(scope) => vec![json!({ "key": [scope.as_str()] }), json!({})],
            Need::ReadJob(_) => vec![json!({ "key": ["jobs:read"] }), json!({ "ticket": [] }), json!({})],
        };
        self.fails(&[
            Code::Unauthenticated,
            Code::Forbidden,
            Code::HostNotAllowed,
            Code::StoreUnavailable,
            Code::QueueFull,
            Code::ShuttingDown,
        ])
    }

    /// The media types of its successes.
    pub(super) fn success_types(&self) -> impl Iterator<Item = &str> {
        let successes = self.answers.iter().filter(|answer| (200..300).contains(&answer.status));
        successes.flat_map(|answer| answer.content.keys().map(String::as_str))
    }

    /// As OpenAPI says it.
    pub(super) fn into_value(self) -> Value {
        let mut responses = Map::new();
        for answer in self.answers {
            responses.insert(answer.status.to_string(), answer.into_value());
        }
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in self.codes {
            let codes = by_status.entry(code.status().as_u16()).or_default();
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        for (status, codes) in by_status {
            responses.insert(status.to_string(), problems(&codes));
        }
        let parameters: Vec<Value> = self.parameters.iter().map(|name| parameters::reference(name)).collect();
        let mut value = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": responses,
        });
        for (key, part) in [
            ("description", (!self.description.is_empty()).then(|| json!(self.description))),
            ("parameters", (!parameters.is_empty()).then(|| json!(parameters))),
            ("requestBody", self.body),
            ("callbacks", (!self.callbacks.is_empty()).then(|| json!(self.callbacks))),
            ("security", (!self.security.is_empty()).then(|| json!(self.security))),
        ] {
            if let Some(part) = part {
                value[key] = part;
            }
        }
        value
    }
}

impl Answer {
    /// An answer with its status and what it means.
    pub(crate) fn new(status: u16, description: &'static str) -> Self {
        Self { status, description, headers: Vec::new(), content: Map::new(), links: Map::new() }
    }

    /// With JSON of a schema, and examples by name.
    pub(crate) fn json(self, schema: &str, examples: &[&str]) -> Self {
        self.content("application/json", media(&reference("schemas", schema), examples))
    }

    /// With JSON of one of several schemas.
    pub(crate) fn one_of(self, schemas: &[&str], examples: &[&str]) -> Self {
        let schemas: Vec<Value> = schemas.iter().map(|schema| reference("schemas", schema)).collect();
        self.content("application/json", media(&json!({ "oneOf": schemas }), examples))
    }

    /// With content of a type, as OpenAPI says it.
    pub(crate) fn content(mut self, media_type: &str, media: Value) -> Self {
        self.content.insert(media_type.to_owned(), media);
        self
    }

    /// With headers, by their names in `headers`. One that ends in `?` may be missing.
    pub(crate) fn headers(mut self, names: &[&'static str]) -> Self {
        self.headers.extend(names);
        self
    }

    /// The operation that takes something of this answer: `parameter`, and a runtime expression for it.
    pub(crate) fn leads_to(mut self, operation: &str, parameter: &str, expression: &str) -> Self {
        let link = json!({ "operationId": operation, "parameters": { parameter: expression } });
        self.links.insert(operation.to_owned(), link);
        self
    }

    /// What can be done with a job whose id is in this answer.
    pub(crate) fn leads_to_job(self, expression: &str) -> Self {
        ["getJob", "getJobEvents", "getResult", "cancelJob", "retryJob"]
            .iter()
            .fold(self, |answer, to| answer.leads_to(to, "id", expression))
    }

    fn into_value(self) -> Value {
        let mut value = json!({ "description": self.description, "headers": headers::of(&self.headers) });
        if !self.content.is_empty() {
            value["content"] = Value::Object(self.content);
        }
        if !self.links.is_empty() {
            value["links"] = Value::Object(self.links);
        }
        value
    }
}

/// All problems of one status. They must have it in common.
pub(super) fn problems(codes: &[Code]) -> Value {
    let lines: Vec<String> =
        codes.iter().map(|code| format!("- [`{0}`](/docs/errors/{0}): {1}", code.as_str(), code.title())).collect();
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let schema = json!({ "$ref": "#/components/schemas/Problem", "properties": { "code": { "enum": names } } });
    // A header that only some of them have may be missing.
    let certain = codes.iter().all(|code| headers::of_code(*code) == headers::of_code(codes[0]));
    let mut value = json!({
        "description": lines.join("\n"),
        "headers": headers::of_problem(headers::of_codes(codes), certain),
        "content": { "application/problem+json": { "schema": schema } },
    });
    let examples: Map<String, Value> = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), json!({ "value": example(&format!("problem-{name}"))? }))))
        .collect();
    if !examples.is_empty() {
        value["content"]["application/problem+json"]["examples"] = Value::Object(examples);
    }
    value
}

/// Content of a schema, with examples by name.
pub(crate) fn media(schema: &Value, examples: &[&str]) -> Value {
    let mut media = json!({ "schema": schema });
    let examples: Map<String, Value> =
        examples.iter().filter_map(|name| Some(((*name).to_owned(), json!({ "value": example(name)? })))).collect();
    if !examples.is_empty() {
        media["examples"] = Value::Object(examples);
    }
    media
}

/// A part that is said elsewhere.
pub(crate) fn reference(part: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{part}/{name}") })
}
