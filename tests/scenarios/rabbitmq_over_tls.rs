//! RabbitMQ over TLS: encrypted, and only with a server that shows who it is.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::authority::Authority;
use crate::harness::client::Client;
use crate::harness::cluster::{Backends, Cluster, new_database, required};
use crate::harness::room;
use crate::harness::services::PrivateServer;
use crate::harness::temp::TempFolder;
use crate::harness::wait::until;

/// A RabbitMQ that speaks nothing but TLS, as `localhost`, and the file of those who vouch for it.
struct Secured {
    rabbitmq: PrivateServer,
    authority: Authority,
    folder: TempFolder,
}

impl Secured {
    fn start() -> Self {
        let folder = TempFolder::new("raincheck-rabbitmq");
        let authority = Authority::new("ours");
        let (certificate, key) = authority.certificate_of("localhost");
        let rabbitmq = PrivateServer::start_rabbitmq_with_tls(folder.path(), &certificate, &key);
        assert!(rabbitmq.url.starts_with("amqps://guest:guest@localhost:"), "{}", rabbitmq.url);
        let secured = Self { rabbitmq, authority, folder };
        secured.trust(&secured.authority);
        secured
    }

    fn ca_file(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    fn trust(&self, authority: &Authority) {
        std::fs::write(self.ca_file(), authority.pem()).unwrap();
    }

    async fn cluster(&self) -> Cluster {
        let postgres = new_database(&required("RAINCHECK_TEST_POSTGRES_URL")).await;
        let backends = Backends { postgres, rabbitmq: self.rabbitmq.url.clone() };
        // The section before it is the broker's.
        Cluster::new(&backends, &format!("ca_file = {:?}\n[worker]\nfallback_poll = \"1m\"\n", self.ca_file()))
    }
}

async fn broker_of(api: &Client) -> String {
    api.send(Method::GET, "/readyz", &[], "").await.json()["broker"].as_str().unwrap().to_owned()
}

async fn until_broker_is(api: &Client, wanted: &str) {
    until(wanted, Duration::from_secs(30), async || broker_of(api).await == wanted).await;
}

async fn doctor(cluster: &mut Cluster, set: &[&str]) -> String {
    let name = format!("doctor {}", set.concat().replace('/', "|"));
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    cluster.run(&name, &[&["doctor", "--set", "http.listen=127.0.0.1:0"], set.as_slice()].concat());
    cluster.process(&name).ended().await;
    cluster.process(&name).log()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_over_tls_to_the_worker_and_back() {
    let _room = room::shared().await;
    let secured = Secured::start();
    let mut cluster = secured.cluster().await;
    let api = cluster.api("api").await;
    until_broker_is(&api, "ok").await;
    cluster.worker("worker");
    // Without the broker the worker would look once a minute.
    until("a job to be done", Duration::from_secs(30), async || {
        let id = api.submit("echo", &json!({ "hello": "kitchen" })).await;
        api.done(&id).await["status"] == "succeeded"
    })
    .await;
    let connections = secured.rabbitmq.ctl(&["-q", "--no-table-headers", "list_connections", "ssl", "protocol"]);
    assert!(connections.lines().count() >= 4, "{connections}");
    assert!(connections.lines().all(|line| line == "true\t{0,9,1}"), "{connections}");
    let said = doctor(&mut cluster, &[]).await;
    assert!(said.contains("✓ The broker answers: RabbitMQ "), "{said}");
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_nobody_vouches_for_is_refused_until_somebody_does() {
    let _room = room::shared().await;
    let secured = Secured::start();
    secured.trust(&Authority::new("other"));
    let mut cluster = secured.cluster().await;
    let api = cluster.api("api").await;
    let why = "TLS with localhost: invalid peer certificate: UnknownIssuer: signed by no authority that is trusted here; \
               `broker.ca_file` adds those of a file";
    until("a word on why", Duration::from_secs(30), async || cluster.process("api").log().contains(why)).await;
    assert_eq!(broker_of(&api).await, "down");
    let said = doctor(&mut cluster, &[]).await;
    assert!(said.contains("✗ amqps://guest:***@localhost:") && said.contains(why), "{said}");

    secured.trust(&secured.authority);
    until_broker_is(&api, "ok").await;
    let log = cluster.process("api").log();
    let told = log.matches("no connection to the broker").count();
    assert!(told <= 3 && !log.contains("panicked"), "once for each connection, not for each attempt: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_somebody_else_or_speaks_otherwise_is_refused_with_the_reason() {
    let _room = room::shared().await;
    let secured = Secured::start();
    let mut cluster = secured.cluster().await;
    let there = secured.rabbitmq.url.split_once('@').unwrap().1;
    let namesake = secured.folder.path().join("namesake.pem");
    std::fs::write(&namesake, Authority::new("ours").pem()).unwrap();
    let by_a_namesake = format!("broker.ca_file={}", namesake.display());
    let by_address = format!("broker.url=amqps://guest:guest@{}", there.replace("localhost", "127.0.0.1"));
    let in_the_clear = format!("broker.url=amqp://guest:guest@{there}");
    let to_who_has_none = required("RAINCHECK_TEST_AMQP_URL").replace("amqp://", "broker.url=amqps://");
    for (set, why) in [
        (
            &[by_address.as_str()][..],
            "TLS with 127.0.0.1: invalid peer certificate: certificate not valid for name \"127.0.0.1\"",
        ),
        (&[&by_address], ": `broker.url` has to name the server as its certificate does"),
        (&[&in_the_clear, "broker.ca_file="], "what answers there speaks TLS: write amqps:// in `broker.url`"),
        (&[&to_who_has_none], ": no TLS is spoken there; `amqps` has a port of its own, 5671 by default"),
        (&[&by_a_namesake], "invalid peer certificate: BadSignature: signed by no authority that is trusted here"),
        (&["broker.ca_file="], "invalid peer certificate: UnknownIssuer"),
    ] {
        let said = doctor(&mut cluster, &[set, &["broker.connect_timeout=1s"]].concat()).await;
        assert!(said.contains("✗ amqp") && said.contains(why), "{set:?}: {said}");
        assert!(!said.contains("guest:guest"), "{said}");
    }
    let api = cluster.api_with("api", &["--set", &by_address]).await;
    until("a word on why", Duration::from_secs(30), async || {
        cluster.process("api").log().contains("not valid for name")
    })
    .await;
    assert_eq!(broker_of(&api).await, "down");
}
