use raincheck_shared::config::{Program, S3Settings, Secret, Upstream};

use super::*;
use crate::handlers::trial::kind;

fn kinds(kinds: impl IntoIterator<Item = Arc<Kind>>) -> BTreeMap<KindName, Arc<Kind>> {
    kinds.into_iter().map(|kind| (kind.name.clone(), kind)).collect()
}

fn custom(name: &str) -> CustomHandlers {
    CustomHandlers::from([(name.parse().unwrap(), Arc::new(Echo) as Arc<dyn Handler>)])
}

fn http(url: &str) -> Run {
    let headers = BTreeMap::from([("a".to_owned(), Secret::new("b"))]);
    Run::Http(Upstream { url: url.to_owned(), headers, ..Upstream::default() })
}

fn grounds() -> Grounds {
    Grounds { scratch: Arc::new(Scratch::inside(None)), withheld: &[] }
}

#[track_caller]
fn refused(kinds: &BTreeMap<KindName, Arc<Kind>>, queues: &[&str], custom: &CustomHandlers) -> String {
    let queues: Vec<QueueName> = queues.iter().map(|name| name.parse().unwrap()).collect();
    Registry::build(kinds, &queues, custom, &grounds()).unwrap_err().to_string()
}

#[test]
fn every_kind_that_can_be_run_has_an_entry() {
    let run = Run::Command(Program { argv: vec!["cat".to_owned()], ..Program::default() });
    let kinds = kinds([
        kind("wc", "default", run),
        kind("call", "default", http("http://127.0.0.1:1/x")),
        kind("echo", "default", Run::Echo),
        kind("sleep", "default", Run::Sleep),
        kind("takeaway", "default", Run::Takeaway),
        kind("mine", "default", Run::Custom),
    ]);
    let registry = Registry::build(&kinds, &[], &custom("mine"), &grounds()).unwrap();
    let names: Vec<&str> = registry.kinds().iter().map(KindName::as_str).collect();
    assert_eq!(names, ["call", "echo", "mine", "sleep", "takeaway", "wc"]);
    assert_eq!(registry.entries().count(), 6);
    assert_eq!(registry.get(&"wc".parse().unwrap()).unwrap().kind.name.as_str(), "wc");
    assert!(registry.get(&"other".parse().unwrap()).is_none());
}

#[test]
fn a_kind_without_its_handler_is_an_error_that_names_it() {
    let kinds = kinds([kind("mine", "rust", Run::Custom)]);
    for queues in [&[] as &[&str], &["rust"]] {
        assert!(refused(&kinds, queues, &CustomHandlers::new()).starts_with("kinds.mine: "));
    }
}

#[test]
fn a_kind_of_another_workers_queue_needs_no_handler_here() {
    let kinds = kinds([kind("mine", "rust", Run::Custom), kind("echo", "default", Run::Echo)]);
    let registry = Registry::build(&kinds, &["default".parse().unwrap()], &CustomHandlers::new(), &grounds()).unwrap();
    assert_eq!(registry.kinds(), ["echo".parse().unwrap()]);
}

#[test]
fn a_handler_that_would_never_run_is_an_error_too() {
    let kinds = kinds([kind("echo", "default", Run::Echo)]);
    assert!(refused(&kinds, &[], &custom("typo")).contains("there is no [kinds.typo]"));
    assert!(refused(&kinds, &[], &custom("echo")).contains("kinds.echo does not say `handler = true`"));
}

#[test]
fn an_upstream_that_cannot_be_called_is_found_at_start() {
    let kinds = kinds([kind("call", "default", http("ftp://host"))]);
    assert_eq!(refused(&kinds, &[], &CustomHandlers::new()), "kinds.call.http cannot be used");
}

#[test]
fn programs_are_not_given_the_key_to_the_blobs_that_the_environment_has() {
    let s3 = |access_key_id: Option<&str>| {
        BlobPlace::S3(S3Settings {
            bucket: "bodies".to_owned(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            access_key_id: access_key_id.map(str::to_owned),
            secret_access_key: None,
        })
    };
    assert_eq!(keys_of(&s3(None)), ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]);
    let none: [&str; 0] = [];
    assert_eq!(keys_of(&s3(Some("of the settings"))), none, "then those of the environment are the programs' own");
    assert_eq!(keys_of(&BlobPlace::Directory { path: "blobs".into() }), none);
}
