//! The OpenAPI document against the service: its routes, its codes, its examples.

mod checker;
mod coverage;
mod examples;

use std::collections::BTreeMap;

use raincheck_shared::config::{Flags, Settings, load};
use serde_json::Value;

/// The document with the default settings.
fn document() -> Value {
    raincheck_api::openapi(&defaults())
}

fn defaults() -> Settings {
    load(&Flags::default(), &BTreeMap::new()).unwrap()
}

/// Every operation: path, method in capitals, what is said about it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            all.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    all
}
