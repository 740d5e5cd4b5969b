//! What the document says each path offers, looked up while requests come in: the methods and types are said once.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use raincheck_shared::config::Settings;

use super::parameters;
use super::paths::operations;
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
    /// Out of what the document is made of. Not out of the document: that is large, and is made when somebody asks for it.
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut paths: BTreeMap<String, Offer> = BTreeMap::new();
        for (path, method, operation) in operations() {
            let named = operation.success_types().filter_map(|name| name.split_once('/'));
            let mut types: Vec<(String, String)> = Vec::new();
            // Several successes may have the same type.
            for (major, minor) in named.map(|(major, minor)| (major.to_owned(), minor.to_owned())) {
                if !types.contains(&(major.clone(), minor.clone())) {
                    types.push((major, minor));
                }
            }
            paths.entry(path.to_owned()).or_default().types.insert(method.to_uppercase(), types);
        }
        for offer in paths.values_mut() {
            let head = offer.types.contains_key("GET").then_some("HEAD");
            let methods: BTreeSet<&str> = offer.types.keys().map(String::as_str).chain(head).collect();
            offer.methods = methods.into_iter().collect::<Vec<_>>().join(", ");
        }
        let parameters = parameters::components(settings);
        let headers =
            parameters.values().filter(|parameter| parameter["in"] == "header").filter_map(|p| p["name"].as_str());
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
