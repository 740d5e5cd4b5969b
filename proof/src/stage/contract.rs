//! Whether an answer is one that the OpenAPI document allows: its status, its headers, its type and its body. Stricter
//! than a client has to be: a field or header that the document does not name is a fault too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use raincheck_shared::config::{Flags, load};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Answer;

/// What the layers below HTTP's meaning add.
const TRANSPORT: [&str; 6] =
    ["connection", "content-length", "content-type", "date", "keep-alive", "transfer-encoding"];

/// The document of the API in this build, with the default settings: those only change what requests may hold.
pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let settings = load(&Flags::default(), &BTreeMap::new()).unwrap();
    Contract::new(&raincheck_api::openapi(&settings))
});

/// A document to check answers against.
pub struct Contract {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl std::fmt::Debug for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contract").finish_non_exhaustive()
    }
}

impl Contract {
    /// A document as it is published.
    pub fn new(document: &Value) -> Self {
        let mut document = document.clone();
        forbid_unknown_fields(&mut document);
        Self { document, validators: Mutex::default() }
    }

    /// Panics unless the document allows this answer to this request. `target`: the path and its query.
    pub fn check(&self, method: &Method, target: &str, answer: &Answer) {
        let faults = self.faults(method, target, answer);
        let shown = String::from_utf8_lossy(&answer.body[..answer.body.len().min(2_000)]);
        assert!(
            faults.is_empty(),
            "{method} {target} was answered {} against the OpenAPI document:\n- {}\nheaders: {:?}\nbody: {shown}",
            answer.status,
            faults.join("\n- "),
            answer.headers,
        );
    }

    /// What the document does not allow about this answer.
    pub fn faults(&self, method: &Method, target: &str, answer: &Answer) -> Vec<String> {
        if method == Method::OPTIONS {
            // A preflight is no operation of the API.
            return Vec::new();
        }
        let pointer = self.response(method, target, answer.status);
        let Some(response) = self.document.pointer(&pointer) else {
            return vec![format!("the status is not among its answers ({pointer})")];
        };
        let mut faults = self.header_faults(response, answer);
        faults.extend(self.body_faults(&pointer, response, answer, method == Method::HEAD));
        faults
    }

    /// Where the document says what this answer looks like.
    fn response(&self, method: &Method, target: &str, status: u16) -> String {
        let path = target.split('?').next().unwrap_or_default();
        let Some((template, item)) = self.item(path) else {
            // Below every route: a path that cannot even be read.
            return if status == 404 { "/components/responses/RouteNotFound" } else { "/none" }.to_owned();
        };
        let name = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
        if item.get(&name).is_none() {
            return if status == 405 { "/components/responses/MethodNotAllowed" } else { "/none" }.to_owned();
        }
        let template = template.replace('~', "~0").replace('/', "~1");
        format!("/paths/{template}/{name}/responses/{status}")
    }

    /// The path item whose template fits; one without a parameter in the same place goes first.
    fn item(&self, path: &str) -> Option<(&String, &Value)> {
        let fits = |template: &str| {
            let (wanted, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
            wanted.len() == given.len()
                && wanted.iter().zip(&given).all(|(w, g)| w == g || (w.starts_with('{') && !g.is_empty()))
        };
        let items = self.document["paths"].as_object()?;
        items.iter().filter(|(template, _)| fits(template)).min_by_key(|(template, _)| template.matches('{').count())
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let target = value["$ref"].as_str().and_then(|r| self.document.pointer(r.trim_start_matches('#')));
        target.unwrap_or(value)
    }

    fn header_faults(&self, response: &Value, answer: &Answer) -> Vec<String> {
        let mut faults = Vec::new();
        let none = serde_json::Map::new();
        let known = response["headers"].as_object().unwrap_or(&none);
        for (name, header) in known {
            let header = self.resolved(header);
            let values: Vec<_> = answer.headers.get_all(name).iter().collect();
            if values.is_empty() && header["required"] == true {
                faults.push(format!("there is no {name}"));
            }
            for value in values {
                let text = value.to_str().unwrap_or_default();
                let value = match header["schema"]["type"].as_str() {
                    Some("integer") => text.parse::<i64>().map_or(json!(text), |number| json!(number)),
                    _ => json!(text),
                };
                let validator = self.validator(&format!("header {name}"), &header["schema"]);
                faults.extend(validator.iter_errors(&value).map(|error| format!("{name}: {error}")));
            }
        }
        for name in answer.headers.keys().map(reqwest::header::HeaderName::as_str) {
            let named = known.keys().any(|known| known.eq_ignore_ascii_case(name));
            if !named && !TRANSPORT.contains(&name) {
                faults.push(format!("{name} is not among its headers"));
            }
        }
        faults
    }

    fn body_faults(&self, pointer: &str, response: &Value, answer: &Answer, is_head: bool) -> Vec<String> {
        let content_type = answer.header("content-type");
        let Some(content) = response["content"].as_object() else {
            let empty = answer.body.is_empty() && content_type.is_empty();
            return if empty { Vec::new() } else { vec!["there is a body, or a type of one".to_owned()] };
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let Some((name, media)) = content.iter().find(|(name, _)| *name == "*/*" || *name == essence) else {
            return vec![format!("{content_type:?} is not among its types")];
        };
        if is_head || name == "*/*" || !essence.ends_with("json") {
            return Vec::new();
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(body) => {
                let validator = self.validator(&format!("{pointer} {name}"), &media["schema"]);
                validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect()
            }
            Err(error) => vec![format!("the body is not JSON: {error}")],
        }
    }

    fn validator(&self, key: &str, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(key.to_owned()).or_insert_with(|| {
            let mut whole = schema.clone();
            whole["components"] = self.document["components"].clone();
            let built = jsonschema::options().should_validate_formats(true).build(&whole);
            Arc::new(built.unwrap_or_else(|error| panic!("{key}: {error}")))
        });
        Arc::clone(validator)
    }
}

/// Clients must let new fields pass; a test must not.
fn forbid_unknown_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(forbid_unknown_fields);
            if fields.get("properties").is_some_and(Value::is_object) && !fields.contains_key("additionalProperties") {
                fields.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_unknown_fields),
        _ => {}
    }
}
