//! Embedded mode: one process over SQLite.

use std::time::Duration;

use super::figures::{Figures, ms, percentile};
use super::load::{self, Connection, closed_loop};
use super::trials::Amount;
use crate::stage::client::Client;
use crate::stage::process::Raincheck;
use crate::stage::temp::{TempFolder, free_address};
use crate::stage::wait::{now, until};

/// Accept, end to end, and the time from a submit to its seen result.
pub async fn embedded(figures: &mut Figures, amount: Amount) {
    let folder = TempFolder::new("raincheck-bench-embedded");
    let address = free_address();
    let process = Raincheck::run("up", &["up", "--set", &format!("http.listen={address}")], folder.path());
    let client = Client::unchecked(&address);
    until("embedded mode to be ready", Duration::from_secs(30), async || client.is_ready().await).await;
    let request = load::submit("default");
    let jobs = amount.jobs;
    let addresses = [address.clone()];
    let load = closed_loop(&addresses, 64, jobs, Duration::from_mins(5), 202, move |_, to| to.extend(&request)).await;
    // The queue is served in order, so the last one in is about the last one out.
    let mut connection = Connection::open(&address).await;
    let last = load::id_of(connection.ask(&load::submit("default")).await.body);
    let mut done = false;
    while !done {
        let reply = connection.ask(&load::read(&format!("/v1/jobs/{last}?wait=10s"))).await;
        done = std::str::from_utf8(reply.body).unwrap().contains("\"succeeded\"");
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^52")]
    let ended = jobs as f64 / load.began.elapsed().as_secs_f64();
    figures.note("embedded: accept", load.rate(), "/s", "≥ 3000");
    figures.note("embedded: end to end", ended, "/s", "");
    let mut waits = Vec::new();
    for _ in 0..500 {
        let began = now();
        let id = load::id_of(connection.ask(&load::submit("default")).await.body);
        connection.ask(&load::read(&format!("/v1/jobs/{id}?wait=10s"))).await;
        waits.push(began.elapsed());
    }
    figures.note("embedded: POST → result, one after the other, p50", ms(percentile(&waits, 0.5)), "ms", "");
    figures.note("embedded: POST → result, one after the other, p99", ms(percentile(&waits, 0.99)), "ms", "");
    drop(process);
}
