//! The headers of answers: what each means, and which answers have it.

use serde_json::{Map, Value, json};

use super::operation::reference;
use crate::http::code::Code;

/// Name, meaning, schema.
struct Header(&'static str, &'static str, fn() -> Value);

/// What every answer has.
const ALWAYS: [&str; 6] = [
    "X-Request-Id",
    "X-Content-Type-Options",
    "Cache-Control",
    "Vary",
    "Access-Control-Allow-Origin?",
    "Access-Control-Expose-Headers?",
];

const ALL: &[Header] = &[
    Header("X-Request-Id", "The request's id: the client's own if it was harmless, else a new one.", request_id),
    Header("X-Content-Type-Options", "Always `nosniff`.", || json!({ "const": "nosniff" })),
    Header("Cache-Control", "Whether the answer may be kept.", text),
    Header("Access-Control-Allow-Origin", "The origin, if pages of it may see the answer.", text),
    Header(
        "Access-Control-Expose-Headers",
        "If pages of the origin may see the answer, the headers that scripts see.",
        text,
    ),
    Header("Vary", "What the answer depends on besides its URL.", text),
    Header("ETag", "Changes with the answer: a job's version, a result's digest.", entity_tag),
    Header(
        "Retry-After",
        "Whole seconds until it is worth asking again.",
        || json!({ "type": "integer", "minimum": 1 }),
    ),
    Header("Sunset", "Until when this can be read, as an HTTP date.", http_date),
    Header("Location", "Where the job is, or its result.", || json!({ "type": "string", "format": "uri-reference" })),
    Header("Preference-Applied", "The preferences that were met.", text),
    Header(
        "Idempotency-Replayed",
        "`true`: the job is the one of an earlier request with this key.",
        || json!({ "type": "string", "enum": ["true", "false"] }),
    ),
    Header("WWW-Authenticate", "What is to be shown, and what was wrong with what was (RFC 6750).", text),
    Header(
        "RateLimit-Policy",
        "How often the tenant may submit, if it has such a quota.",
        || json!({ "type": "string", "pattern": "^\"submit\";q=[0-9]+;w=[0-9]+$" }),
    ),
    Header(
        "RateLimit",
        "How much of that is left, and in how many seconds all of it is back.",
        || json!({ "type": "string", "pattern": "^\"submit\";r=[0-9]+;t=[0-9]+$" }),
    ),
    Header("Allow", "The methods that this path takes.", text),
    Header(
        "Content-Range",
        "Which bytes these are, and how many there are.",
        || json!({ "type": "string", "pattern": "^bytes ([0-9]+-[0-9]+|\\*)/[0-9]+$" }),
    ),
    Header("Accept-Ranges", "Always `bytes`.", || json!({ "const": "bytes" })),
    Header("Content-Digest", "SHA-256 of the body (RFC 9530).", digest),
    Header("Repr-Digest", "SHA-256 of the whole of which this is a part (RFC 9530).", digest),
    Header("Content-Disposition", "`attachment` for what a browser would run.", || json!({ "const": "attachment" })),
    Header("X-Accel-Buffering", "Always `no`: proxies pass each event on as it comes.", || json!({ "const": "no" })),
    Header("Content-Security-Policy", "Keeps a browser from running what is not meant to be run.", text),
    Header("Referrer-Policy", "Always `no-referrer`.", || json!({ "const": "no-referrer" })),
];

fn text() -> Value {
    json!({ "type": "string" })
}

fn request_id() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$" })
}

fn entity_tag() -> Value {
    json!({ "type": "string", "pattern": "^\"[0-9a-f]+(\\.[0-9]+)?\"$" })
}

fn http_date() -> Value {
    json!({ "type": "string", "pattern": "^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT$" })
}

fn digest() -> Value {
    json!({ "type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$" })
}

/// The headers that a problem has besides those of every answer.
pub(super) fn of_code(code: Code) -> &'static [&'static str] {
    match code.status().as_u16() {
        405 => &["Allow"],
        416 => &["Content-Range"],
        429 => &["Retry-After", "RateLimit-Policy?", "RateLimit?"],
        503 => &["Retry-After"],
        _ if matches!(code, Code::Unauthenticated | Code::Forbidden) => &["WWW-Authenticate"],
        _ if matches!(code, Code::JobNotFinished | Code::IdempotencyInFlight) => &["Retry-After"],
        _ => &[],
    }
}

/// The same of several.
pub(super) fn of_codes(codes: &[Code]) -> Vec<&'static str> {
    let mut names: Vec<&str> = codes.iter().flat_map(|code| of_code(*code)).copied().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The headers of a success, by their names; one that ends in `?` may be missing.
pub(super) fn of(names: &[&'static str]) -> Map<String, Value> {
    ALWAYS.iter().chain(names).map(|name| entry(name, !name.ends_with('?'))).collect()
}

/// The headers of a problem.
pub(super) fn of_problem(names: Vec<&'static str>, certain: bool) -> Map<String, Value> {
    let own = names.into_iter().map(|name| entry(name, certain && !name.ends_with('?')));
    ALWAYS.iter().map(|name| entry(name, !name.ends_with('?'))).chain(own).collect()
}

fn entry(name: &str, required: bool) -> (String, Value) {
    let name = name.trim_end_matches('?');
    let component = if required { name.to_owned() } else { format!("{name}.optional") };
    (name.to_owned(), reference("headers", &component))
}

/// All of them, each as one that is always there and as one that may be missing.
pub(super) fn components() -> Map<String, Value> {
    let mut all = Map::new();
    for Header(name, meaning, schema) in ALL {
        let header = |required: bool| json!({ "description": meaning, "required": required, "schema": schema() });
        all.insert((*name).to_owned(), header(true));
        all.insert(format!("{name}.optional"), header(false));
    }
    all
}

/// The names of all that scripts in browsers may see.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|header| header.0).filter(|name| !name.starts_with("Access-Control-"))
}
