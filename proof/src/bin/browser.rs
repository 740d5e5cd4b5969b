//! Follows a job in a real browser while the server under it is stopped, killed and started again:
//!
//! ```text
//! scripts/browser
//! ```
//!
//! A page opens an `EventSource` as any page would, and never closes it. It must see the job's end, versions that only rise,
//! and then be told to stay away. Chromium is driven over `WebDriver`, by HTTP.

#![expect(clippy::print_stderr, reason = "a program for people at a terminal")]
#![expect(clippy::unwrap_used, reason = "a trial that cannot go on stops and says why")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use raincheck_proof::stage::client::Client;
use raincheck_proof::stage::process::Raincheck;
use raincheck_proof::stage::temp::{TempFolder, free_address};
use raincheck_proof::stage::wait::until;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

/// What the page does: everything an `EventSource` says goes into `window.seen`.
const FOLLOW: &str = "
    window.seen = [];
    window.source = new EventSource(arguments[0]);
    for (const name of ['snapshot', 'progress', 'status', 'done']) {
        window.source.addEventListener(name, event =>
            window.seen.push([name, Number(event.lastEventId), JSON.parse(event.data).status]));
    }
    window.source.onerror = () => window.seen.push(['error', window.source.readyState, null]);";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(follow()),
        Err(error) => panic!("no runtime: {error}"),
    }
}

async fn follow() {
    let folder = TempFolder::new("raincheck-browser");
    let address = free_address();
    let (mut server, api) = start(folder.path(), &address).await;
    let browser = Browser::open(folder.path()).await;
    let id = api.submit("takeaway", &json!({ "seconds": 20.0 })).await;

    // Any page of the same origin will do; the root is JSON, which a browser shows.
    browser.visit(&format!("http://{address}/")).await;
    browser.run(FOLLOW, json!([format!("/v1/jobs/{id}/events")])).await;
    browser.until_seen("progress", 1).await;

    eprintln!("browser: stopping the server, and starting it again");
    assert!(server.terminate().await.success());
    browser.until_seen("error", 1).await;
    (server, _) = start(folder.path(), &address).await;
    // The first one of the new connection.
    browser.until_seen("snapshot", 2).await;

    eprintln!("browser: killing it, and starting it again");
    server.kill();
    let (_server, api) = start(folder.path(), &address).await;
    browser.until_seen("snapshot", 3).await;
    browser.until_seen("done", 1).await;

    let closed = 2;
    until("the EventSource to stay away for good", PATIENCE, async || {
        browser.run("return window.source.readyState", json!([])).await == closed
    })
    .await;
    let seen = browser.run("return window.seen", json!([])).await;
    for line in seen.as_array().unwrap() {
        eprintln!("browser: {line}");
    }
    let events = seen.as_array().unwrap().iter().filter(|said| said[0] != "error").cloned().collect::<Vec<_>>();
    let versions: Vec<i64> = events.iter().map(|event| event[1].as_i64().unwrap()).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    let job = api.job(&id).await;
    let end = json!(["done", job["version"], "succeeded"]);
    assert_eq!((events.last(), &job["status"]), (Some(&end), &json!("succeeded")));
    browser.close().await;
    eprintln!("browser: followed job {id} to its end over two restarts");
}

async fn start(folder: &Path, address: &str) -> (Raincheck, Client) {
    let listen = format!("http.listen={address}");
    // Given back rather than finished: the page is to see it run again.
    let server = Raincheck::run("up", &["up", "--set", &listen, "--set", "worker.drain_timeout=100ms"], folder);
    let api = Client::new(address);
    until("raincheck to be ready", PATIENCE, async || api.is_ready().await).await;
    (server, api)
}

/// A browser with one page.
struct Browser {
    driver: Client,
    session: String,
    _process: Raincheck,
}

impl Browser {
    async fn open(folder: &Path) -> Self {
        let address = free_address();
        let (_, port) = address.split_once(':').unwrap();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let process = Raincheck::spawn("chromedriver", command, folder);
        // It is no raincheck, so no document of ours says what it answers.
        let driver = Client::unchecked(&address);
        until("chromedriver to be ready", PATIENCE, async || {
            driver.try_send(reqwest::Method::GET, "/status", &[], "").await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let options = json!({ "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", profile,
        ]});
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let mut browser = Self { driver, session: String::new(), _process: process };
        let opened = browser.post("", wanted).await;
        browser.session = format!("/{}", opened["sessionId"].as_str().unwrap());
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (path, json) = (format!("/session{}{path}", self.session), [("content-type", "application/json")]);
        let answer = self.driver.send(reqwest::Method::POST, &path, &json, body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()["value"].clone()
    }

    async fn visit(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// Runs a script in the page; answers what it returns.
    async fn run(&self, script: &str, arguments: Value) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// Waits until the page has heard something of this name so many times.
    async fn until_seen(&self, name: &str, times: usize) {
        until(name, PATIENCE, async || {
            let seen = self.run("return window.seen.map(said => said[0])", json!([])).await;
            seen.as_array().unwrap().iter().filter(|said| *said == name).count() >= times
        })
        .await;
    }

    async fn close(self) {
        self.driver.send(reqwest::Method::DELETE, &format!("/session{}", self.session), &[], "").await;
    }
}
