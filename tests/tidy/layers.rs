//! Who may know whom: invariants 1, 3, 6 and 7, and the places that are the only ones of their kind.

use super::assert_tidy;
use super::lexer::lex;
use super::tree::{File, rust_sources};

/// Words that may not stand in the code of some places.
struct Ban {
    /// What it is about, for the complaint.
    because: &'static str,
    /// Folders and files.
    inside: &'static [&'static str],
    /// Folders and files within those where it is fine.
    except: &'static [&'static str],
    /// Identifiers, or several with what stands between them.
    words: &'static [&'static str],
}

const IO: &[&str] = &[
    "tokio",
    "tokio_util",
    "sqlx",
    "lapin",
    "actix_web",
    "reqwest",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
];

const BANS: &[Ban] = &[
    Ban { because: "the domain knows no IO", inside: &["shared/src/domain"], except: &[], words: IO },
    Ban {
        because: "HTTP never names the broker",
        inside: &["api/src/http"],
        except: &[],
        words: &["broker", "Broker", "lapin"],
    },
    Ban { because: "the API's engine knows no HTTP", inside: &["api/src/engine"], except: &[], words: &["actix_web"] },
    Ban {
        because: "a worker serves no HTTP",
        inside: &["worker/src"],
        except: &[],
        words: &["actix_web", "raincheck_api"],
    },
    Ban {
        because: "only the store knows SQL",
        inside: &["api/src", "worker/src", "src", "shared/src"],
        except: &["shared/src/store"],
        words: &["sqlx"],
    },
    Ban {
        because: "only `blobs` knows the object store",
        inside: &["api/src", "worker/src", "src", "shared/src"],
        except: &["shared/src/blobs"],
        words: &["object_store"],
    },
    Ban {
        because: "only the broker knows AMQP",
        inside: &["api/src", "worker/src", "src", "shared/src"],
        except: &["shared/src/broker"],
        words: &["lapin"],
    },
    Ban {
        // With this, a transaction can await queries only, and nothing but a query can be done inside one.
        because: "the store calls nothing but the database",
        inside: &["shared/src/store"],
        except: &[],
        words: &["broker", "lapin", "reqwest", "actix_web", "tokio::process", "tokio::net"],
    },
    Ban {
        because: "a handler reaches neither store nor broker",
        inside: &["worker/src/handlers", "worker/src/handler.rs"],
        except: &["worker/src/handlers/trial.rs"],
        words: &["store", "Store", "blobs", "Blobs", "broker", "Broker", "sqlx", "lapin"],
    },
    Ban {
        because: "only `backends` names a concrete store or broker",
        inside: &["api/src", "worker/src", "src"],
        except: &[],
        words: &["store::postgres", "store::sqlite", "broker::rabbitmq", "broker::in_process"],
    },
    Ban {
        because: "only the relay publishes jobs",
        inside: &["api/src", "worker/src", "src"],
        except: &["api/src/upkeep/relay.rs"],
        words: &[".publish("],
    },
];

fn complaints(files: &[File], bans: &[Ban]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let lexed = lex(&file.text);
        for ban in bans.iter().filter(|ban| file.is_in(ban.inside) && !file.is_in(ban.except)) {
            for word in ban.words {
                for line in lexed.lines_with(word) {
                    complaints.push(format!("{}:{line}: `{word}`: {}", file.path, ban.because));
                }
            }
        }
    }
    complaints
}

/// Statements in quotes, outside the store. Tests may look where the product may not.
fn stray_statements(files: &[File]) -> Vec<String> {
    const VERBS: [&str; 9] =
        ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH ", "CREATE ", "DROP ", "ALTER ", "TRUNCATE "];
    // `proof` looks at what raincheck left behind, as the tests do: by a door of its own.
    const HOME: &[&str] = &["shared/src/store", "tests", "proof"];
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| !file.is_in(HOME)) {
        for (line, said) in lex(&file.text).strings {
            if VERBS.iter().any(|verb| said.trim_start().starts_with(verb)) {
                complaints.push(format!("{}:{line}: a statement: only the store knows SQL", file.path));
            }
        }
    }
    complaints
}

#[test]
fn every_layer_knows_only_what_it_may() {
    assert_tidy(&complaints(&rust_sources(), BANS));
}

#[test]
fn no_statement_stands_outside_the_store() {
    assert_tidy(&stray_statements(&rust_sources()));
}

#[test]
fn every_place_a_layer_rule_names_exists() {
    let files = rust_sources();
    let places = BANS.iter().flat_map(|ban| ban.inside);
    let missing: Vec<String> = places
        .filter(|place| !files.iter().any(|file| file.is_in(&[**place])))
        .map(|place| format!("{place}: a rule is about it, but there is nothing in it"))
        .collect();
    assert_tidy(&missing);
}

#[test]
fn a_crossed_layer_is_found() {
    for (path, text) in [
        ("shared/src/domain/job.rs", "use tokio::time;"),
        ("shared/src/domain/job.rs", "fn f() { std::fs::read(p) }"),
        ("api/src/http/submit.rs", "use raincheck_shared::broker::Publisher;"),
        ("api/src/engine/desk.rs", "use actix_web::web;"),
        ("worker/src/executor.rs", "use actix_web::web;"),
        ("worker/src/finisher.rs", "sqlx::query(q)"),
        ("worker/src/output.rs", "use object_store::path::Path;"),
        ("api/src/upkeep/retention.rs", "publisher.publish(&batch)"),
        ("worker/src/handlers/http.rs", "fn f(store: &Store) {}"),
        ("src/commands/up.rs", "use raincheck_shared::store::postgres;"),
        ("shared/src/store/sqlite/outbox.rs", "use crate::broker::Envelope;"),
    ] {
        assert!(!complaints(&[File::new(path, text)], BANS).is_empty(), "{path}: {text}");
    }
    for (path, text) in [
        ("shared/src/domain/job.rs", "// tokio is not here"),
        ("shared/src/store/postgres/jobs.rs", "sqlx::query(q)"),
        ("shared/src/broker/rabbitmq/publisher.rs", "lapin::Channel"),
        ("api/src/upkeep/relay.rs", "publisher.publish(&batch)"),
    ] {
        assert_tidy(&complaints(&[File::new(path, text)], BANS));
    }
}

#[test]
fn a_stray_statement_is_found() {
    let stray = File::new("api/src/engine/reads.rs", "let q = r#\"\n  SELECT 1\"#;");
    assert_eq!(stray_statements(&[stray]).len(), 1);
    let fine = File::new("api/src/engine/reads.rs", "let why = \"the store: SELECT is slow\"; // SELECT 1");
    assert_tidy(&stray_statements(&[fine]));
}
