//! `raincheck doctor` on setups that are broken, each in its own way. It must always come to an end.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::Desk;

#[test]
fn a_broken_configuration_is_a_finding() {
    let said = Desk::with_file("[http]\nlsiten = \"x\"\n").run(&["doctor"]);
    said.assert_code(1);
    said.assert_out_has("✗ http.lsiten: unknown key; did you mean `listen`?");
    said.assert_out_has("1 thing to mend.");
}

#[test]
fn nobody_there_is_found_within_seconds_and_named_without_passwords() {
    // Accepts and never answers: worse than nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let desk = Desk::with_file(&format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"postgres://me:pa55@127.0.0.1:1/db\"\n\
         [broker]\nurl = \"amqp://me:pa55@{silent}\"\nconnect_timeout = \"1s\"\n\
         [kinds.lost]\ncommand = [\"no-such-program\"]\n[kinds.shell]\ncommand = [\"sh\"]\n"
    ));
    #[expect(clippy::disallowed_methods, reason = "how long a process takes is measured")]
    let started = Instant::now();
    let said = desk.run(&["doctor"]);
    assert!(started.elapsed() < Duration::from_mins(1), "{}", said.all());
    said.assert_code(1);
    said.assert_out_has("✗ the store cannot be reached");
    said.assert_out_has(&format!("✗ amqp://me:***@{silent}"));
    said.assert_out_has("✗ kinds.lost: there is no program \"no-such-program\"");
    said.assert_out_has("✓ kinds.shell: runs /");
    said.assert_out_has("things to mend.");
    said.assert_nowhere("pa55");
    said.assert_nowhere("\u{1b}[");
}

#[test]
fn a_data_folder_that_cannot_be_made_is_a_finding() {
    let desk = Desk::new();
    std::fs::write(desk.path().join("file"), "").unwrap();
    let said = desk.run(&["doctor", "--set", "store.url=sqlite:file/raincheck.db", "--set", "http.listen=127.0.0.1:0"]);
    said.assert_code(1);
    said.assert_out_has("✗ the data folder file cannot be written");
}

#[test]
fn a_fresh_folder_is_well_and_stays_empty() {
    let desk = Desk::new();
    let said = desk.run(&["doctor", "--set", "http.listen=127.0.0.1:0"]);
    said.assert_code(0);
    said.assert_out_has("✓ raincheck-data/raincheck.db does not exist yet");
    said.assert_out_has("All is well.");
    assert!(desk.files().is_empty(), "{:?}", desk.files());
}
