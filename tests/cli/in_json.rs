//! `--json`, wherever it can be said: nothing but JSON on stdout, however the command ends.

use super::{Desk, Said};
use crate::harness::served::Served;

/// How many documents stdout has; all of it is some. Nothing is coloured.
fn documents(said: &Said, code: i32) -> usize {
    said.assert_code(code);
    said.assert_nowhere("\u{1b}[");
    assert!(code == 0 || !said.err.is_empty(), "it failed without a word: {}", said.all());
    said.documents().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_asks_an_instance_prints_nothing_else_however_it_ends() {
    let served = Served::working().await;
    let desk = Desk::new();
    let ask = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--json"]).collect();
        desk.ask(served.address, &arguments, b"1")
    };
    let good = ask("submit echo -f - --wait").documents()[0]["id"].as_str().unwrap().to_owned();
    let bad = ask("submit failing -f - --follow").documents()[0]["id"].as_str().unwrap().to_owned();
    let late = ask("submit echo -f - --delay 1h").documents()[0]["id"].as_str().unwrap().to_owned();
    let unknown = "01890000-0000-7000-8000-000000000000";
    let job_by_name = |text: &str| {
        text.replace("GOOD", &good).replace("BAD", &bad).replace("LATE", &late).replace("UNKNOWN", unknown)
    };
    for (command, count, code) in [
        ("submit echo -f - --validate-only", 1, 0),
        ("submit echo -f - --wait", 1, 0),
        ("submit failing -f - --wait", 1, 4),
        ("submit nothing -f -", 0, 6),
        ("submit echo -f - --priority 10", 0, 7),
        ("status GOOD BAD", 2, 0),
        ("status UNKNOWN GOOD", 1, 6),
        ("watch GOOD", 1, 0),
        ("watch GOOD BAD", 2, 4),
        ("watch LATE --at-most 1s", 1, 8),
        ("result GOOD", 1, 0),
        ("result BAD", 0, 4),
        ("result LATE", 0, 7),
        ("result UNKNOWN", 0, 6),
        ("logs BAD", 1, 0),
        ("logs UNKNOWN", 0, 6),
        ("retry BAD --wait", 1, 4),
        ("retry GOOD", 0, 7),
        ("redrive --kind failing --dry-run", 2, 0),
        ("redrive --kind nothing", 0, 0),
        ("redrive --error-code nonsense!", 0, 7),
        ("list", 6, 0),
        ("list --kind nothing", 0, 0),
        ("list --status nonsense", 0, 7),
        ("queues", 1, 0),
        ("queues list default", 1, 0),
        ("queues pause apart", 1, 0),
        ("queues resume apart", 1, 0),
        ("queues pause nowhere", 0, 6),
        ("kinds", 1, 0),
        ("kinds echo", 1, 0),
        ("kinds nothing", 0, 6),
        ("schedules", 0, 0),
        ("schedules put s --cron @daily --kind echo --validate-only", 1, 0),
        ("schedules put s --cron @daily --kind echo", 1, 0),
        ("schedules put s --cron nonsense --kind echo", 0, 7),
        ("schedules list", 1, 0),
        ("schedules show s", 1, 0),
        ("schedules pause s", 1, 0),
        ("schedules resume s", 1, 0),
        ("schedules trigger s", 1, 0),
        ("schedules delete s", 1, 0),
        ("schedules show s", 0, 6),
        ("cancel LATE", 1, 0),
        ("cancel GOOD", 0, 7),
        ("top", 0, 2),
    ] {
        let said = ask(&job_by_name(command));
        let came = documents(&said, code);
        assert_eq!(came, count, "of `{command}`: {}", said.all());
    }
}

#[test]
fn keys_and_findings_are_for_programs_too() {
    let desk = Desk::new();
    let made = desk.run(&["keys", "create", "my app", "--json"]);
    assert_eq!(documents(&made, 0), 1);
    let made = made.documents().remove(0);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(key.starts_with(&format!("rk_{id}_")), "{made}");
    let listed = desk.run(&["keys", "list", "--json"]).documents();
    assert_eq!((listed[0]["id"].as_str().unwrap(), listed[0]["key"].is_null()), (id, true));
    let revoked = desk.run(&["keys", "revoke", id, "--json"]).documents();
    assert!(revoked[0]["revoked_at"].is_string(), "{revoked:?}");
    assert_eq!(documents(&desk.run(&["keys", "revoke", "0123456789abcdef", "--json"]), 1), 0);

    let good = desk.run(&["doctor", "--json"]);
    good.assert_code(0);
    assert!(good.documents().iter().all(|finding| finding["mark"] != "bad" && finding["what"].is_string()));
    let bad = Desk::with_file("[http]\nlsiten = \"x\"\n").run(&["doctor", "--json"]);
    bad.assert_code(1);
    assert_eq!((bad.documents().len(), &bad.documents()[0]["mark"]), (1, &"bad".into()), "{}", bad.all());
}
