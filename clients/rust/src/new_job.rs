//! A job to be submitted, and the one request that it becomes.

use bytes::Bytes;
use hyper::Method;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::request::{Request, encode};
use crate::retry::random;

/// What to do, with what, and how.
#[derive(Debug, Clone)]
#[must_use]
pub struct NewJob {
    kind: String,
    input: Input,
    options: Map<String, Value>,
    idempotency_key: Option<String>,
}

#[derive(Debug, Clone)]
enum Input {
    Json(Box<RawValue>),
    Bytes { content_type: String, bytes: Bytes },
}

impl NewJob {
    /// With JSON as its input. Fails when `input` cannot be written as JSON. A [`RawValue`] goes as it is.
    pub fn json(kind: impl Into<String>, input: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let input =
            to_raw_value(input).map_err(|error| Error::invalid(format!("the input cannot be JSON: {error}")))?;
        Ok(Self::new(kind.into(), Input::Json(input)))
    }

    /// With bytes as its input, which go as they are.
    pub fn bytes(kind: impl Into<String>, content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(kind.into(), Input::Bytes { content_type: content_type.into(), bytes: bytes.into() })
    }

    fn new(kind: String, input: Input) -> Self {
        Self { kind, input, options: Map::new(), idempotency_key: None }
    }

    /// The same key means the same job, for as long as the server remembers it. Without one a key is made.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Any other field of `POST /v1/jobs`, such as `timeouts`; of a job with bytes, a query parameter such as
    /// `run_timeout`, a list being several of the same name.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// The queue; else the kind's.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.option("queue", queue.into())
    }

    /// From 0 to 9; higher goes first.
    pub fn priority(self, priority: u8) -> Self {
        self.option("priority", priority)
    }

    /// Not to start before so long has passed, such as `10m`.
    pub fn delay(self, delay: impl Into<String>) -> Self {
        self.option("delay", delay.into())
    }

    /// One tag more.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        // By bytes they are several parameters of one name, which is singular.
        let name = if matches!(self.input, Input::Json(_)) { "tags" } else { "tag" };
        let tags = self.options.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        match tags {
            Value::Array(tags) => tags.push(Value::String(tag.into())),
            other => *other = Value::Array(vec![other.take(), Value::String(tag.into())]),
        }
        self
    }

    /// Whether it says that no job is to be made.
    pub(crate) fn is_only_validated(&self) -> bool {
        self.options.get("validate_only").is_some_and(|value| *value != Value::Bool(false) && value != "false")
    }

    /// The request, and its key, for whoever sends it by [`Client::call`](crate::Client::call): with `validate_only` the answer
    /// is no job. Made once, outside of the retries: the key is what makes the second request the same as the first.
    pub fn into_request(self) -> Result<(Request, String), Error> {
        let key = idempotency_key(self.idempotency_key)?;
        let request = match self.input {
            Input::Json(input) => {
                let mut options = self.options;
                options.insert("kind".to_owned(), Value::String(self.kind));
                // The input is not parsed: what it says to the last digit, it says to the handler.
                let mut body = Value::Object(options).to_string();
                body.pop();
                body.push_str(",\"input\":");
                body.push_str(input.get());
                body.push('}');
                Request::post("/v1/jobs", "application/json", body)
            }
            Input::Bytes { content_type, bytes } => {
                let path = format!("/v1/kinds/{}/jobs{}", encode(&self.kind), query(&self.options));
                let mut request = Request::new(Method::POST, path).header("content-type", content_type);
                request.body = bytes;
                request
            }
        };
        let request = request.header("idempotency-key", format!("\"{key}\"")).header("prefer", "respond-async");
        Ok((request, key))
    }
}

/// A key that a header can carry; a fresh one where none was given.
pub(crate) fn idempotency_key(given: Option<String>) -> Result<String, Error> {
    let key = given.unwrap_or_else(fresh_key);
    let good = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    if !(1..=255).contains(&key.len()) || !key.bytes().all(good) {
        let rule = "an idempotency key is 1 to 255 printable ASCII characters without quotes and backslashes";
        return Err(Error::invalid(rule));
    }
    Ok(key)
}

fn query(options: &Map<String, Value>) -> String {
    let mut query = String::new();
    for (name, value) in options {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(&encode(name));
            query.push('=');
            query.push_str(&encode(&text));
        }
    }
    query
}

fn fresh_key() -> String {
    format!("{:032x}", u128::from_le_bytes(random()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_input_goes_as_it_was_written_and_options_beside_it() {
        let raw = RawValue::from_string("{\"n\": 1.000}".to_owned()).unwrap();
        let job = NewJob::json("report", &raw).unwrap().priority(7).tag("a").tag("b").idempotency_key("k 1");
        let (request, key) = job.into_request().unwrap();
        assert_eq!(key, "k 1");
        assert_eq!(request.path, "/v1/jobs");
        assert!(request.headers.contains(&("idempotency-key", "\"k 1\"".to_owned())), "{:?}", request.headers);
        let body = std::str::from_utf8(&request.body).unwrap();
        assert!(body.ends_with(",\"input\":{\"n\": 1.000}}"), "{body}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["kind"], &body["priority"], &body["tags"]),
            (&json!("report"), &json!(7), &json!(["a", "b"]))
        );
    }

    #[test]
    fn options_of_bytes_are_a_query() {
        let job = NewJob::bytes("a/b", "text/plain", "x").option("run_timeout", "5m").option("validate_only", true);
        let (request, key) = job.tag("x y").tag("z").into_request().unwrap();
        let query = request.path.strip_prefix("/v1/kinds/a%2Fb/jobs?").unwrap();
        let mut parts: Vec<&str> = query.split('&').collect();
        parts.sort_unstable();
        assert_eq!(parts, ["run_timeout=5m", "tag=x%20y", "tag=z", "validate_only=true"]);
        assert_eq!(key.len(), 32);
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_before_anything_is_sent() {
        for key in ["", "a\"b", "a\\b", "ü", "a\nb", &"x".repeat(256)] {
            assert!(NewJob::bytes("a", "b", "").idempotency_key(key).into_request().is_err(), "{key:?}");
        }
        assert_ne!(fresh_key(), fresh_key());
    }
}
