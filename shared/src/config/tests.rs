//! The loader from outside: layers in, settings or problems out.

mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{BlobPlace, BrokerSettings, Flags, LogFormat, Run, Settings, StoreSettings, load, show};

/// A folder of a test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("raincheck-config-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn from_file(test: &str, toml: &str) -> Result<Settings, Vec<String>> {
    from_layers(test, toml, &[], &[])
}

pub(super) fn from_layers(
    test: &str,
    toml: &str,
    environment: &[(&str, &str)],
    set: &[(&str, &str)],
) -> Result<Settings, Vec<String>> {
    let folder = Folder::new(test);
    let flags = Flags { file: Some(folder.write("raincheck.toml", toml)), set: pairs(set) };
    let shown = |problem: &super::ConfigProblem| problem.to_string().replace(&format!("{}/", folder.0.display()), "");
    load(&flags, &pairs(environment)).map_err(|errors| errors.0.iter().map(shown).collect())
}

#[test]
fn without_anything_the_defaults_make_an_embedded_instance() {
    let settings = from_file("defaults", "").unwrap();
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert!(matches!(&settings.store, StoreSettings::Sqlite { path } if path.ends_with("raincheck.db")));
    assert!(matches!(settings.broker, BrokerSettings::InProcess));
    assert_eq!(settings.worker.lease, Duration::from_secs(15));
    assert_eq!((settings.blobs.in_database, settings.jobs.max_input), (1 << 20, 100 << 20));
    assert!(matches!(&settings.blobs.place, BlobPlace::Directory { path } if path.ends_with("blobs")));
    assert_eq!(settings.log.format, LogFormat::Text);
    assert!(!settings.worker.name.is_empty());
    let kinds: Vec<&str> = settings.kinds.keys().map(crate::domain::KindName::as_str).collect();
    assert_eq!(kinds, ["echo", "sleep", "takeaway"]);
    let echo = &settings.kinds[&"echo".parse().unwrap()];
    assert_eq!((echo.concurrency, echo.retry.max_attempts, echo.retention), (256, 3, settings.jobs.retention));
}

#[test]
fn a_command_is_all_that_a_kind_needs() {
    let settings = from_file("command", "[kinds.wordcount]\ncommand = [\"wc\", \"-w\"]").unwrap();
    let kind = &settings.kinds[&"wordcount".parse().unwrap()];
    assert!(matches!(&kind.run, Run::Command(program) if program.argv == ["wc", "-w"]));
    assert_eq!((kind.concurrency, kind.queue.as_str(), kind.timeout), (16, "default", Duration::from_mins(10)));
}

#[test]
fn a_message_never_carries_more_than_half_of_what_a_worker_runs_at_once() {
    let settings = from_file("widths", "[kinds.few]\nbuiltin = \"echo\"\nconcurrency = 15").unwrap();
    let width = |kind: &str, slots| settings.kinds[&kind.parse().unwrap()].dispatch_width(slots);
    assert_eq!([1024, 64, 16, 3, 1].map(|slots| width("echo", slots)), [32, 32, 8, 1, 1]);
    assert_eq!([1024, 1].map(|slots| width("few", slots)), [1, 1]);
}

#[test]
fn each_layer_wins_over_those_below_it() {
    let toml =
        "[http]\nlisten = \"127.0.0.1:1\"\nworkers = 1\n[store]\nurl = \"sqlite:file.db\"\n[worker]\nconcurrency = 1";
    let environment = [
        ("RAINCHECK__HTTP__LISTEN", "127.0.0.1:2"),
        ("RAINCHECK__WORKER__CONCURRENCY", "2"),
        ("RAINCHECK__WORKER__QUEUES", "b, a"),
        ("RAINCHECK__HTTP__MAX_WAIT", ""),
        ("DATABASE_URL", "postgres://host/db"),
        ("AMQP_URL", "amqp://loses"),
        ("RAINCHECK__BROKER__URL", "in-process"),
    ];
    let settings = from_layers("layers", toml, &environment, &[("worker.concurrency", "3")]).unwrap();
    assert_eq!(settings.http.workers, 1);
    assert_eq!(settings.http.listen.port(), 2);
    assert_eq!(settings.worker.concurrency, 3);
    assert_eq!(settings.worker.queues, ["a".parse().unwrap(), "b".parse().unwrap()]);
    assert_eq!(settings.http.max_wait, Duration::from_secs(50));
    assert!(matches!(&settings.store, StoreSettings::Postgres { url, .. } if url.expose() == "postgres://host/db"));
    assert!(matches!(settings.broker, BrokerSettings::InProcess));
}

#[test]
fn a_worker_that_shows_its_life_by_a_lock_beats_at_least_each_second() {
    let slow = "worker.lease = \"30s\"\nworker.heartbeat = \"2s\"";
    let problems = from_layers("slow", slow, &[], &[]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("worker.heartbeat: more than 1s needs `worker.session_lock = false`"),
        "{problems:?}"
    );
    from_layers("slow", slow, &[], &[("worker.session_lock", "false")]).unwrap();
}

#[test]
fn all_problems_are_reported_at_once_each_with_its_key_its_origin_and_what_is_allowed() {
    let toml = r#"
        colour = "blue"
        "" = 1
        [http]
        lsiten = "127.0.0.1:8080"
        max_wait = 30
        workers = 5000
        [store]
        url = "mysql://me:pa55@host/db"
        [worker]
        lease = "2s"
        queues = ["good", "not good"]
        [jobs]
        max_input = "16 elephants"
        retention = "100d"
        [kinds.shell]
        command = "wc -w"
        [kinds.both]
        command = ["true"]
        handler = true
        [kinds.none]
        queue = "q"
        headers = { a = "b" }
        [kinds.slow]
        builtin = "sleep"
        timeout = "8d"
        [kinds.pickle]
        builtin = "echo"
        schema = { type = "pickle" }
        content_types = ["pickle"]
    "#;
    let environment = [("RAINCHECK__WORKER__CONCURRENCY", "many"), ("RAINCHECK__LOG__FORMAT", "xml")];
    let problems = from_layers("all", toml, &environment, &[("http.listen", "0.0.0.0:80"), ("a b", "c")]).unwrap_err();
    let all = problems.join("\n");
    for expected in [
        "a b: not the name of a setting: SECTION.KEY, for instance http.listen or kinds.\"a.b\".queue (from the command line)",
        "\"\": unknown key; known here: auth, blobs, broker, http, jobs,",
        "colour: unknown key; known here: auth, blobs, broker, http, jobs,",
        "http.lsiten: unknown key; did you mean `listen`? (from raincheck.toml)",
        "http.max_wait: 30 is not a duration",
        "http.workers: 5000 is not a whole number from 0 to 1024 (from raincheck.toml)",
        "http.listen: 0.0.0.0:80 can be reached from other machines",
        "store.url: \"mysql://\" is not a scheme known here; allowed: \"sqlite:PATH\"",
        "worker.heartbeat: 1s is more than a third of `worker.lease` (2s): one late beat would lose the lease (from raincheck.toml)",
        "worker.queues: \"not good\" is not a valid name",
        "worker.concurrency: \"many\" is not a whole number from 1 to 10000 (from environment variable RAINCHECK__WORKER__CONCURRENCY)",
        "jobs.max_input: \"16 elephants\" is not a size",
        "jobs.retention: 100d is more than `jobs.max_retention` (90d)",
        "log.format: \"xml\" is neither \"text\" nor \"json\" (from environment variable RAINCHECK__LOG__FORMAT)",
        "kinds.shell.command: is run without a shell, so it is a list: command = [\"wc\", \"-w\"]",
        "kinds.both.command: a kind is run by exactly one of",
        "kinds.none.command: nothing runs this kind",
        "kinds.none.headers: means nothing without `http`",
        "kinds.pickle.schema: not a JSON Schema",
        "kinds.pickle.content_types: \"pickle\" is not a media type or a range",
    ] {
        assert!(all.contains(expected), "{expected}\nis missing in\n{all}");
    }
    assert!(!all.contains("pa55"), "{all}");
    assert_eq!(problems.len(), 20, "{all}");
}

#[test]
fn a_kind_may_not_ask_for_more_than_the_limits_of_all_jobs() {
    let toml = "[kinds.slow]\nbuiltin = \"sleep\"\ntimeout = \"8d\"\nretention = \"91d\"";
    let problems = from_file("limits", toml).unwrap_err();
    assert_eq!(
        problems,
        [
            "kinds.slow.timeout: 8d is more than `jobs.max_run_timeout` (7d) (from raincheck.toml)",
            "kinds.slow.retention: 91d is more than `jobs.max_retention` (90d) (from raincheck.toml)",
        ]
    );
}

#[test]
fn sqlite_and_rabbitmq_do_not_go_together() {
    let problems = from_layers("pair", "", &[("AMQP_URL", "amqp://me:pa55@host")], &[]).unwrap_err();
    assert!(problems[0].starts_with("broker: RabbitMQ needs a store that several processes can share"), "{problems:?}");
    assert!(problems[0].ends_with("(from environment variable AMQP_URL)"), "{problems:?}");
}

#[test]
fn a_broker_over_tls_may_be_vouched_for_by_an_authority_of_its_own() {
    let broker = |broker: &str| {
        let toml = format!("[store]\nurl = \"postgres://me@host/db\"\n[broker]\n{broker}");
        from_file("broker-tls", &toml).map(|settings| show(&settings))
    };
    let shown = broker("url = \"amqps://me:pa55@host/shop\"").unwrap();
    assert!(shown.contains("[broker]\nurl = \"amqps://me:***@host/shop\"\nca_file = \"\"\n"), "{shown}");
    let problems = broker("url = \"amqps://host\"\nca_file = \"no.pem\"").unwrap_err();
    assert!(problems[0].starts_with("broker.ca_file: no.pem: its file of authorities cannot be read"), "{problems:?}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let problems = broker(&format!("url = \"amqps://host\"\nca_file = {file:?}")).unwrap_err();
    assert!(problems[0].contains("holds no certificate in PEM"), "{problems:?}");
    let authority = rcgen::generate_simple_self_signed(["host".to_owned()]).unwrap();
    let folder = Folder::new("authority");
    let file = folder.write("ca.pem", &authority.cert.pem());
    let ca_file = format!("ca_file = {:?}", file.display().to_string());
    assert!(broker(&format!("url = \"amqps://host\"\n{ca_file}")).unwrap().contains(&ca_file));
    let problems = broker(&format!("url = \"amqp://host\"\n{ca_file}")).unwrap_err();
    assert!(problems[0].starts_with("broker.ca_file: means nothing without amqps:// in `broker.url`"), "{problems:?}");
}

#[test]
fn a_listener_beyond_loopback_needs_a_word_for_it() {
    let toml = "[http]\nlisten = \"0.0.0.0:8080\"\nlisten_without_keys = true";
    assert!(from_file("beyond", toml).is_ok());
    assert!(from_file("beyond-not", "[http]\nlisten = \"[::]:8080\"").is_err());
    assert!(from_file("loopback", "[http]\nlisten = \"[::1]:8080\"").is_ok());
    assert!(from_file("localhost", "[http]\nlisten = \"localhost:8080\"").is_ok());
}

#[test]
fn broken_urls_are_refused_without_showing_their_passwords() {
    for (variable, url) in [
        ("DATABASE_URL", "postgres://me:pa55@host"),
        ("DATABASE_URL", "postgres://me:pa55/word@host/db"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_URL", "pa55"),
        ("AMQP_URL", "amqps://me:pa55@"),
        ("AMQP_URL", "amqp://me:pa55@"),
        ("AMQP_URL", "http://me:pa55@host"),
        ("RAINCHECK__HTTP__PUBLIC_URL", "https://me:pa55@host"),
        ("RAINCHECK__KINDS__UP__HTTP", "https://me:pa55@"),
    ] {
        let problems = from_layers("urls", "", &[(variable, url)], &[]).unwrap_err();
        let all = problems.join("\n");
        assert!(all.contains(variable) && !all.contains("pa55"), "{url}: {all}");
    }
}

#[test]
fn a_file_that_is_no_toml_and_a_file_that_is_missing_are_named() {
    let problems = from_file("broken", "[http\nlisten = 1").unwrap_err();
    assert!(problems[0].starts_with("raincheck.toml: not valid TOML:"), "{problems:?}");
    let flags = Flags { file: Some("/does/not/exist.toml".into()), ..Flags::default() };
    let errors = load(&flags, &BTreeMap::new()).unwrap_err();
    assert!(errors.to_string().starts_with("/does/not/exist.toml: cannot be read:"), "{errors}");
}

#[test]
fn a_section_that_is_no_table_is_one_problem() {
    let problems = from_layers("flat", "", &[("RAINCHECK__HTTP", "8080")], &[]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("http: \"8080\" is not a section: write [http]"), "{problems:?}");
}

#[test]
fn a_section_that_may_be_there_is_known_also_while_it_is_not() {
    for (toml, key, meant) in [
        ("[schedule.a]\ncron = \"0 7 * * *\"", "schedule", "schedules"),
        ("schdules.a = 1", "schdules", "schedules"),
        ("[tenant.acme]\nqueued = 1", "tenant", "tenants"),
    ] {
        let problems = from_file("sections", toml).unwrap_err();
        assert_eq!(problems, [format!("{key}: unknown key; did you mean `{meant}`? (from raincheck.toml)")]);
    }
    let problems = from_file("sections", "colour = 1").unwrap_err();
    let known =
        "auth, blobs, broker, http, jobs, kinds, log, quotas, schedules, store, tenants, upkeep, webhooks, worker";
    assert_eq!(problems, [format!("colour: unknown key; known here: {known} (from raincheck.toml)")]);
}

#[test]
fn an_input_that_is_given_twice_is_one_problem() {
    let toml = "[schedules.a]\ncron = \"0 7 * * *\"\nkind = \"echo\"\ninput = 1\ninput_json = \"1\"\n\
                content_type = \"application/json\"";
    let problems = from_file("twice", toml).unwrap_err();
    assert_eq!(problems, ["schedules.a.input: give either `input` or `input_json` (from raincheck.toml)"]);
}

#[test]
fn a_schema_comes_as_a_table_as_text_or_from_a_file() {
    let folder = Folder::new("schemas");
    let file = folder
        .write("schema.json", r#"{"type": "object", "required": ["text"], "properties": {"x": {"const": null}}}"#);
    let schemas = [
        "schema = { type = \"object\", required = [\"text\"] }".to_owned(),
        "schema = '{\"type\": \"object\", \"required\": [\"text\"]}'".to_owned(),
        format!("schema_file = {:?}", file.display().to_string()),
    ];
    for schema in schemas {
        let settings = from_file("schema", &format!("[kinds.k]\nhandler = true\n{schema}")).unwrap();
        let compiled = settings.kinds[&"k".parse().unwrap()].schema.clone().unwrap();
        assert_eq!(compiled.problems(&serde_json::json!({}), 5).len(), 1, "{schema}");
        assert!(compiled.problems(&serde_json::json!({"text": 1}), 5).is_empty(), "{schema}");
        assert_eq!(from_file("schema-again", &show(&settings)).map(|again| show(&again)), Ok(show(&settings)));
    }
    let problems = from_file("schema-missing", "[kinds.k]\nhandler = true\nschema_file = \"no.json\"").unwrap_err();
    assert!(problems[0].starts_with("kinds.k.schema_file: /"), "{problems:?}");
}

#[test]
fn what_is_shown_is_read_back_as_the_same_and_holds_no_secret() {
    let toml = r#"
        [http]
        public_url = "https://jobs.example.com"
        [store]
        url = "postgres://me:pa55@host/db"
        [broker]
        url = "amqps://me:pa55@host"
        [worker]
        name = "a \"quoted\" name"
        queues = ["q1", "q2"]
        [log]
        format = "json"
        [kinds."with.dot"]
        command = ["sh", "-c", "cat\nand \\ more"]
        env = { TOKEN = "pa55" }
        directory = "/"
        retry_exit_codes = [75]
        output_type = "image/png"
        description = "äöü"
        [kinds.up]
        http = "http://me:pa55@127.0.0.1:9/x"
        headers = { Authorization = "Bearer pa55" }
        completion = "callback"
        ca_file = "/etc/ca.pem"
        delete_on_cancel = true
        content_types = ["Text/*", "application/json"]
    "#;
    let settings = from_file("shown", toml).unwrap();
    let page = show(&settings);
    assert!(!page.contains("pa55"), "{page}");
    let again = from_file("shown-again", &page).unwrap();
    assert_eq!(show(&again), page);
}

#[test]
fn a_blob_store_is_a_directory_or_a_bucket_and_its_secret_is_never_shown() {
    let toml = "[blobs]\nurl = \"s3://bucket/a/b/\"\nendpoint = \"http://seaweedfs:8333/\"\naccess_key_id = \"me\"\n\
                secret_access_key = \"pa55\"";
    let settings = from_file("s3", toml).unwrap();
    let BlobPlace::S3(s3) = &settings.blobs.place else { panic!("{:?}", settings.blobs) };
    assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), ("bucket", "a/b"));
    assert_eq!(s3.endpoint.as_deref(), Some("http://seaweedfs:8333"));
    let shown = show(&settings);
    assert!(shown.contains("url = \"s3://bucket/a/b\"") && shown.contains("secret_access_key = \"***\""), "{shown}");
    assert!(!shown.contains("pa55") && !format!("{settings:?}").contains("pa55"));
    for (toml, expected) in [
        ("url = \"ftp://x\"", "blobs.url: \"ftp://\" is not a scheme known here; allowed: \"directory:PATH\""),
        ("url = \"directory:\"", "blobs.url: names no folder"),
        ("url = \"s3://me:pa55@host/x\"", "blobs.url: s3://me:***@host/x is not s3://BUCKET/PREFIX"),
        ("endpoint = \"seaweedfs\"", "blobs.endpoint: not a URL known here"),
        ("access_key_id = \"me\"", "blobs.access_key_id: goes together with `blobs.secret_access_key`"),
        ("in_database = \"32KiB\"", "jobs.inline_result: 64KiB is more than `blobs.in_database` (32KiB)"),
        ("keep_orphans = \"1m\"", "blobs.keep_orphans: \"1m\" is out of range: 1h to 30d"),
    ] {
        let problems = from_file("blobs", &format!("[blobs]\n{toml}")).unwrap_err();
        assert!(problems[0].starts_with(expected), "{toml}: {problems:?}");
    }
}
