//! `raincheck doctor` beside a raincheck that is in trouble, and where blobs are away.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use raincheck_shared::backends::open_store;
use raincheck_shared::config::StoreSettings;
use raincheck_shared::lifecycle::SystemClock;
use reqwest::Method;

use super::{Desk, Said};
use crate::harness::cluster::{new_database, required};
use crate::harness::served::{Served, Work};
use crate::harness::store::POSTGRES_URL;

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
async fn a_directory_of_blobs_that_is_away_is_a_finding_while_jobs_have_blobs_there() {
    for store in [None, Some(new_database(&required(POSTGRES_URL)).await)] {
        let small_rows = [("blobs.in_database", "64KiB"), ("jobs.max_input", "1MiB"), ("jobs.max_output", "1MiB")];
        let own = store.as_deref().map(|url| ("store.url", url));
        let settings: Vec<_> = small_rows.into_iter().chain(own).collect();
        let served = Served::with(Work::Nobody, &settings).await;
        let blobs = served.folder.0.join("blobs");
        let store = store.unwrap_or_else(|| format!("sqlite:{}", served.folder.0.join("raincheck.db").display()));
        let (desk, address) = (Desk::new(), served.address.to_string());
        let well = "✓ Blobs can be written, read and removed";
        let away = format!("✗ the directory of blobs {} is away (not mounted?)", blobs.display());

        // Nothing was kept there yet, and the directory may be made anew.
        std::fs::remove_dir_all(&blobs).unwrap();
        doctor(&desk, &address, &store, &blobs).assert_out_has("does not exist yet: it is made at the first start");
        std::fs::create_dir(&blobs).unwrap();

        let sent = served.client.send(Method::PUT, "/v1/kinds/echo/jobs", &[], vec![b'1'; 100_000]).await;
        assert_eq!(sent.status, 202, "{}", sent.json());
        let there = doctor(&desk, &address, &store, &blobs);
        there.assert_code(0);
        there.assert_out_has(well);

        let elsewhere = served.folder.0.join("unmounted");
        std::fs::rename(&blobs, &elsewhere).unwrap();
        let find = |address: &str, what: &str| {
            let said = doctor(&desk, address, &store, &blobs);
            said.assert_code(1);
            said.assert_out_has(&away);
            said.assert_nowhere(well);
            assert!(!blobs.join("raincheck-blobs").exists(), "{what}: it has left a mark");
        };
        find(&address, "not there");
        assert!(!blobs.exists(), "the doctor has made it");
        std::fs::create_dir(&blobs).unwrap();
        find(&address, "an empty mount point");
        assert!(served.drain().await);
        served.store.schema.close().await;
        find("127.0.0.1:0", "an empty mount point, and nobody runs");

        // A process that started meanwhile has taken it for a new one.
        std::fs::write(blobs.join("raincheck-blobs"), "99999999999999\n").unwrap();
        let said = doctor(&desk, "127.0.0.1:0", &store, &blobs);
        said.assert_code(1);
        said.assert_out_has(&away);

        std::fs::remove_dir_all(&blobs).unwrap();
        std::fs::rename(&elsewhere, &blobs).unwrap();
        let there = doctor(&desk, "127.0.0.1:0", &store, &blobs);
        there.assert_code(0);
        there.assert_out_has(well);
    }
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
