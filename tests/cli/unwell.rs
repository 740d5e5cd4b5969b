//! `raincheck doctor` beside a raincheck that is in trouble.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use raincheck_shared::backends::open_store;
use raincheck_shared::config::StoreSettings;
use raincheck_shared::lifecycle::SystemClock;

use super::{Desk, Said};
use crate::harness::served::Served;

/// Asks the doctor about a store and a directory of blobs, with its API at that address.
fn doctor(desk: &Desk, address: &str, store: &str, blobs: &Path) -> Said {
    let set = [
        format!("http.listen={address}"),
        format!("store.url={store}"),
        format!("blobs.url=directory:{}", blobs.display()),
    ];
    desk.run(&["doctor", "--set", &set[0], "--set", &set[1], "--set", &set[2]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raincheck_that_is_not_ready_is_told_from_a_stranger_and_not_to_be_stopped() {
    let desk = Desk::new();
    let file = desk.path().join("held.db");
    // Held as by the process that is looked into.
    let settings = StoreSettings::Sqlite { path: file.clone() };
    let held = open_store(&settings, SystemClock::shared()).await.unwrap();
    held.schema.migrate().await.unwrap();
    let served = Served::idle().await;
    served.store.schema.close().await;
    let (address, store) = (served.address.to_string(), format!("sqlite:{}", file.display()));
    let blobs = desk.path().join("blobs");

    let said = doctor(&desk, &address, &store, &blobs);
    said.assert_code(1);
    said.assert_out_has(&format!("✗ the raincheck at {address} is not ready: the store"));
    said.assert_out_has("its log says why");
    said.assert_out_has(&format!("✓ {} is in use by the raincheck that runs", file.display()));
    said.assert_out_has("1 thing to mend.");
    said.assert_nowhere("stop");
    served.stop().await;

    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = stranger.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let (mut socket, _) = stranger.accept().unwrap();
        let _ = socket.read(&mut [0; 4096]).unwrap();
        let page = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nbusy";
        socket.write_all(page.as_bytes()).unwrap();
        stranger
    });
    let said = doctor(&desk, &address, &store, &blobs);
    drop(answers.join());
    said.assert_code(1);
    said.assert_out_has(&format!("! {address} is taken by another program"));
    said.assert_out_has(&format!("✗ {} could not be opened", file.display()));
    held.schema.close().await;
}
