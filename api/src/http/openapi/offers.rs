//! What the document says each path offers, looked up while requests come in: the methods and types are said once.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use serde_json::Value;

use crate::http::extract::Accept;

/// The paths by their templates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers {
    paths: BTreeMap<String, Offer>,
    /// The headers that requests may carry, as a preflight is told them.
    pub(crate) request_headers: String,
}

/// One path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offer {
    /// The methods it takes, with commas between.
    pub(crate) methods: String,
    /// What a success of a method can be.
    types: BTreeMap<String, Vec<(String, String)>>,
}

impl Offers {
    /// Out of the document.
    pub(crate) fn of(document: &Value) -> Self {
        let items = document["paths"].as_object();
        let paths = items.into_iter().flatten().map(|(path, item)| (path.clone(), Offer::of(item))).collect();
        let parameters = document["components"]["parameters"].as_object();
        let headers = parameters.into_iter().flatten().map(|(_, parameter)| parameter);
        let headers = headers.filter(|parameter| parameter["in"] == "header").filter_map(|p| p["name"].as_str());
        // Those that a document does not name.
        let names: BTreeSet<&str> = headers.chain(["Accept", "Authorization", "Content-Type"]).collect();
        Self { paths, request_headers: names.into_iter().collect::<Vec<_>>().join(", ") }
    }

    /// The path with this template.
    pub(crate) fn at(&self, template: &str) -> Option<&Offer> {
        self.paths.get(template)
    }
}

impl Offer {
    fn of(item: &Value) -> Self {
        let mut offer = Self::default();
        let mut methods = BTreeSet::new();
        for (method, operation) in item.as_object().into_iter().flatten().filter(|(key, _)| *key != "parameters") {
            methods.insert(method.to_uppercase());
            if method == "get" {
                methods.insert("HEAD".to_owned());
            }
            let answers = operation["responses"].as_object().into_iter().flatten();
            let successes = answers.filter(|(status, _)| status.starts_with('2'));
            let types =
                successes.filter_map(|(_, answer)| answer["content"].as_object()).flat_map(|types| types.keys());
            let split = types.filter_map(|name| name.split_once('/')).map(|(a, b)| (a.to_owned(), b.to_owned()));
            offer.types.insert(method.to_uppercase(), split.collect());
        }
        offer.methods = methods.into_iter().collect::<Vec<_>>().join(", ");
        offer
    }

    /// The types of a success, unless one of them is acceptable.
    pub(crate) fn unacceptable(&self, method: &Method, accept: &Accept) -> Option<String> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let types = self.types.get(method).filter(|types| !types.is_empty())?;
        let welcome = |(major, minor): &(String, String)| major == "*" || accept.quality(major, minor) > 0;
        if types.iter().any(welcome) {
            return None;
        }
        let names: Vec<String> = types.iter().map(|(major, minor)| format!("{major}/{minor}")).collect();
        Some(names.join(" or "))
    }
}
