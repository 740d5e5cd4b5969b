//! Nothing is left out of the document, and nothing is in it that is not there.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

use super::{document, operations};
use crate::api::get;
use crate::harness::served::Served;
use crate::tidy::{lexer, tree};

/// Paths and the methods that `Allow` names, as `routes.rs` has them.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let source = tree::file("api/src/http/routes.rs").text;
    let mut routes = BTreeMap::new();
    for part in source.split("at(").skip(1) {
        let strings: Vec<String> = lexer::lex(part).strings.into_iter().map(|(_, text)| text).take(2).collect();
        if let [path, allow] = strings.as_slice()
            && path.starts_with('/')
        {
            let methods = allow.split(", ").filter(|method| *method != "HEAD").map(str::to_owned).collect();
            assert!(routes.insert(path.clone(), methods).is_none(), "{path} stands twice in routes.rs");
        }
    }
    assert!(routes.len() > 8, "the routes were not found: {routes:?}");
    routes
}

fn codes() -> BTreeSet<String> {
    let source = tree::file("api/src/http/code.rs").text;
    let table = source.split("\ncodes! {").nth(1).unwrap().split("\n}").next().unwrap();
    let like_a_code = |text: &String| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    lexer::lex(table).strings.into_iter().map(|(_, text)| text).filter(like_a_code).collect()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document()) {
        documented.entry(path).or_default().insert(method);
    }
    assert_eq!(documented, routes());
}

#[tokio::test]
async fn every_route_of_the_document_is_served_and_takes_the_methods_it_says() {
    let served = Served::idle().await;
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document()) {
        documented.entry(path).or_default().insert(method);
    }
    for (path, methods) in documented {
        let path = path
            .replace("{kind}", "echo")
            .replace("{queue}", "default")
            .replace("{code}", "job-failed")
            .replace("{schedule}", "nightly")
            .replace("{id}", "0192f0c1-2345-7abc-8def-0123456789ab");
        let path = path.replace("{batch}", "0192f0c1-2345-7abc-8def-0123456789ab");
        let answer = served.client.send(Method::TRACE, &path, &[], "").await;
        assert_eq!(answer.status, 405, "{path}");
        let allowed = answer.header("allow").split(", ").filter(|method| *method != "HEAD").map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
    }
    assert!(served.stop().await);
}

#[test]
fn the_document_mentions_every_code() {
    let mut mentioned = BTreeSet::new();
    collect_codes(&document(), &mut mentioned);
    assert_eq!(mentioned, codes());
}

fn collect_codes(value: &Value, found: &mut BTreeSet<String>) {
    if let Some(Value::Array(codes)) = value.pointer("/properties/code/enum")
        && value["$ref"] == "#/components/schemas/Problem"
    {
        found.extend(codes.iter().map(|code| code.as_str().unwrap().to_owned()));
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|field| collect_codes(field, found)),
        Value::Array(items) => items.iter().for_each(|item| collect_codes(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = document();
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 30);
    for reference in references {
        let target = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(target.is_some(), "{reference} leads nowhere");
    }
    let ids: BTreeSet<String> =
        operations(&document).iter().map(|(_, _, o)| o["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), operations(&document).len(), "an operationId stands twice");
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (_, link) in response["links"].as_object().into_iter().flatten() {
                let to = link["operationId"].as_str().unwrap();
                assert!(ids.contains(to), "{method} {path} {status} leads to {to}, which is no operation");
            }
        }
    }
}

#[test]
fn every_way_to_submit_says_what_its_webhook_will_be_sent() {
    let document = document();
    let called = |path: &str, method: &str, name: &str| {
        let callback = &document["paths"][path][method]["callbacks"][name];
        let (expression, item) = callback.as_object().and_then(|all| all.iter().next()).unwrap();
        let item = document.pointer(item["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
        assert!(item["post"]["requestBody"].is_object() && item["post"]["responses"].is_object(), "{item}");
        expression.clone()
    };
    for (path, method, name) in [
        ("/v1/jobs", "post", "jobWebhook"),
        ("/v1/jobs/{id}", "put", "jobWebhook"),
        ("/v1/jobs/{id}/retry", "post", "jobWebhook"),
        ("/v1/batches", "post", "batchWebhook"),
    ] {
        assert_eq!(called(path, method, name), "{$request.body#/webhook/url}", "{path}");
    }
    for method in ["post", "put"] {
        assert_eq!(called("/v1/kinds/{kind}/jobs", method, "jobWebhook"), "{$request.query.webhook_url}");
    }
    for name in ["job", "batch"] {
        assert!(document["webhooks"][name]["$ref"].is_string(), "{name}");
    }
}

/// Each body of JSON that a client may send, or that it is sent when all is well: where it stands, its schema, its examples.
fn bodies(document: &Value) -> Vec<(String, Value, Value)> {
    let mut bodies = Vec::new();
    let mut add = |place: String, body: &Value| {
        let media = &body["content"]["application/json"];
        if media.is_object() {
            bodies.push((place, media["schema"].clone(), media["examples"].clone()));
        }
    };
    for (path, method, operation) in operations(document) {
        add(format!("the body of {method} {path}"), &operation["requestBody"]);
        for (status, answer) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') {
                add(format!("{status} of {method} {path}"), answer);
            }
        }
    }
    for (name, item) in document["components"]["pathItems"].as_object().unwrap() {
        add(format!("the body of {name}"), &item["post"]["requestBody"]);
    }
    bodies
}

#[test]
fn every_json_that_is_taken_or_answered_has_examples_and_they_meet_its_schema() {
    let document = document();
    let bodies = bodies(&document);
    assert!(bodies.len() > 60, "they were not found: {}", bodies.len());
    for (place, schema, examples) in bodies {
        // An example of the document is the document.
        if place.ends_with("/openapi.json") {
            continue;
        }
        let examples = examples.as_object().unwrap_or_else(|| panic!("{place} has no example"));
        let whole = serde_json::json!({ "components": document["components"], "allOf": [schema] });
        let validator = jsonschema::validator_for(&whole).unwrap();
        for (name, example) in examples {
            if let Err(error) = validator.validate(&example["value"]) {
                panic!("{place}: {name}: {error} at {}", error.instance_path());
            }
        }
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect_references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[test]
fn every_schema_of_the_document_is_one() {
    let document = document();
    let components = &document["components"];
    let named = components["schemas"].as_object().unwrap().iter().map(|(name, schema)| (name.clone(), schema));
    let parameters = components["parameters"].as_object().unwrap().iter();
    let headers = components["headers"].as_object().unwrap().iter();
    let inner = parameters.chain(headers).map(|(name, part)| (name.clone(), &part["schema"]));
    let media = operations(&document).into_iter().flat_map(|(path, method, operation)| {
        let bodies = operation["responses"].as_object().unwrap().values().chain(operation.get("requestBody"));
        let schemas = bodies.filter_map(|body| body["content"].as_object()).flat_map(serde_json::Map::values);
        schemas.map(|media| (format!("{method} {path}"), media["schema"].clone())).collect::<Vec<_>>()
    });
    for (name, schema) in named.chain(inner).map(|(name, schema)| (name, schema.clone())).chain(media) {
        if let Err(error) = jsonschema::meta::validate(&schema) {
            panic!("{name}: {error} in {schema}");
        }
    }
}

#[test]
fn every_failure_code_of_a_job_is_in_the_document() {
    let document = document();
    let listed = document.pointer("/components/schemas/Failure/properties/code/enum").unwrap();
    let listed: BTreeSet<&str> = listed.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    let page = tree::file("docs/http-api.md").text;
    let told = page.split("A failed job's `error` has one of:").nth(1).unwrap().split("\n\n").next().unwrap();
    let told: BTreeSet<&str> = told.split('[').skip(1).map(|part| part.split(']').next().unwrap()).collect();
    assert_eq!(listed, told);
}

#[tokio::test]
async fn the_service_answers_its_own_document() {
    let served = Served::with(crate::harness::served::Work::Nobody, &[("jobs.max_tags", "3")]).await;
    let answer = get(&served.client, "/openapi.json", &[]).await;
    assert_eq!(answer.status, 200);
    let mine = answer.json();
    assert_eq!(mine.pointer("/components/schemas/Submission/properties/tags/maxItems"), Some(&3.into()));
    let paths = |document: &Value| document["paths"].as_object().unwrap().len();
    assert_eq!(paths(&mine), paths(&document()));
    assert!(served.stop().await);
}
