//! What shapes are made of.

use serde_json::{Map, Value, json};

use super::super::operation::reference;

/// An object all of whose fields are always there.
pub(in super::super) fn answer(properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().map(|fields| fields.keys().collect()).unwrap_or_default();
    json!({ "type": "object", "required": names, "properties": properties })
}

/// The same, or `null`.
pub(in super::super) fn or_null(schema: &Value) -> Value {
    match schema.get("type") {
        Some(Value::String(one)) if one == "null" => schema.clone(),
        Some(Value::String(one)) => {
            let mut schema = schema.clone();
            schema["type"] = json!([one, "null"]);
            if let Some(Value::Array(allowed)) = schema.get_mut("enum") {
                allowed.push(Value::Null);
            }
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

pub(in super::super) fn of(name: &str) -> Value {
    reference("schemas", name)
}

pub(in super::super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(in super::super) fn count(minimum: u32) -> Value {
    json!({ "type": "integer", "minimum": minimum })
}

pub(in super::super) fn job_id() -> Value {
    json!({ "type": "string", "format": "uuid", "minLength": 36, "maxLength": 36,
            "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$" })
}

/// A kind's name, or a queue's.
pub(in super::super) fn name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" })
}

pub(in super::super) fn duration() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "examples": ["30s"] })
}

pub(in super::super) fn instant() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// Text without NUL, which not every store can keep.
pub(in super::super) fn kept_text() -> Value {
    json!({ "type": "string", "pattern": "^[^\\u0000]*$" })
}

/// The same of `min` to `max` characters.
pub(in super::super) fn bounded_text(min: u32, max: u32) -> Value {
    let mut schema = kept_text();
    schema["minLength"] = json!(min);
    schema["maxLength"] = json!(max);
    schema
}

/// Links, each of which may be `null`.
pub(in super::super) fn links(names: &[&str]) -> Value {
    let link = json!({ "type": ["string", "null"], "format": "uri-reference" });
    answer(&Value::Object(names.iter().map(|name| ((*name).to_owned(), link.clone())).collect()))
}

/// One page of a list.
pub(in super::super) fn page(field: &str, item: &str) -> Value {
    answer(&json!({
        field: { "type": "array", "items": of(item) },
        "next_cursor": { "type": ["string", "null"], "description": "Goes into `cursor` for the next page; `null`: this is the last." },
        "links": links(&["next"]),
    }))
}

/// A request's object: all fields may be absent or `null`, and there are no others.
pub(in super::super) fn request(properties: &Value) -> Value {
    let mut fields = Map::new();
    for (name, schema) in properties.as_object().into_iter().flatten() {
        fields.insert(name.clone(), or_null(schema));
    }
    json!({ "type": "object", "properties": fields, "additionalProperties": false })
}

pub(in super::super) fn described(schema: &Value, description: &str) -> Value {
    let mut schema = schema.clone();
    schema["description"] = json!(description);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_null_has_null_among_its_values() {
        let schema = or_null(&json!({ "type": "string", "enum": ["a"] }));
        assert_eq!(schema, json!({ "type": ["string", "null"], "enum": ["a", null] }));
    }
}
