//! `raincheck keys`: on a store that nobody uses, and beside a process that does.

use std::sync::Arc;

use raincheck_shared::backends::open_store;
use raincheck_shared::config::StoreSettings;
use raincheck_shared::lifecycle::SystemClock;

use super::Desk;

#[test]
fn a_key_is_shown_once_listed_without_its_secret_and_revoked() {
    let desk = Desk::new();
    let made =
        desk.run(&["keys", "create", "my app", "--tenant", "acme", "--scope", "jobs:read", "--expires-in", "90d"]);
    made.assert_code(0);
    made.assert_err_has("tenant acme with jobs:read, good until 20");
    let key = made.out.trim();
    let (id, secret) = key.strip_prefix("rk_").unwrap().split_once('_').unwrap();
    assert_eq!((id.len(), secret.len(), made.out.lines().count()), (16, 64, 1), "{}", made.all());

    let listed = desk.run(&["keys", "list"]);
    listed.assert_code(0);
    for part in [id, "acme", "my app", "jobs:read", "until 20", "never"] {
        listed.assert_out_has(part);
    }
    listed.assert_nowhere(secret);
    let revoked = desk.run(&["keys", "revoke", id]);
    revoked.assert_code(0);
    revoked.assert_out_has("within 5 seconds");
    desk.run(&["keys", "list"]).assert_out_has("revoked 20");
    let stranger = desk.run(&["keys", "revoke", "0123456789abcdef"]);
    stranger.assert_code(1);
    stranger.assert_err_has("there is no key 0123456789abcdef");
}

#[test]
fn what_is_wrong_with_a_key_is_said_before_it_is_made() {
    let desk = Desk::new();
    for (arguments, complaint) in [
        (&["keys", "create"][..], "<NAME>"),
        (&["keys", "create", ""], "1 to 200 characters"),
        (&["keys", "create", "a", "--tenant", "a/b"], "is not a valid name"),
        (&["keys", "create", "a", "--scope", "root"], "jobs:write, jobs:read, jobs:work or admin"),
        (&["keys", "create", "a", "--expires-in", "soon"], "soon"),
        (&["keys", "revoke", "rk_nonsense"], "16 hexadecimal digits"),
    ] {
        let said = desk.run(arguments);
        said.assert_code(2);
        said.assert_err_has(complaint);
    }
    desk.run(&["keys", "list"]).assert_out_has("No key was ever made.");
}

#[test]
fn a_key_is_made_beside_a_process_that_uses_the_store() {
    let desk = Desk::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = desk.path().join("raincheck-data/raincheck.db");
    let store = runtime.block_on(async {
        let store = open_store(&StoreSettings::Sqlite { path }, SystemClock::shared()).await.unwrap();
        store.schema.migrate().await.unwrap();
        store
    });
    desk.run(&["keys", "create", "beside"]).assert_code(0);
    let keys = runtime.block_on(Arc::clone(&store.keys).list_keys()).unwrap();
    assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["beside"]);
    runtime.block_on(store.schema.close());
}

#[test]
fn what_cannot_be_printed_is_an_error_and_a_key_that_nobody_has_is_no_good() {
    let desk = Desk::new();
    let full = |arguments: &[&str]| {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = desk.command(arguments).stdout(full).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [
        &["keys", "list"][..],
        &["keys", "create", "lost"],
        &["keys", "create", "lost too", "--json"],
        &["keys", "list"],
        &["config"],
        &["config", "--defaults"],
        &["openapi"],
        &["webhooks", "secret"],
    ] {
        let (code, said) = full(arguments);
        assert!(code == 1 && said.contains("stdout cannot be written"), "{arguments:?}: {code}, {said}");
    }
    let listed = desk.run(&["keys", "list"]).out;
    assert_eq!(listed.matches("revoked 20").count(), 2, "{listed}");
}

#[test]
fn to_listen_elsewhere_needs_keys_or_a_word() {
    let desk = Desk::with_file("[http]\nlisten = \"0.0.0.0:0\"\n");
    let refused = desk.run(&["config"]);
    refused.assert_code(2);
    refused.assert_err_has("auth.required = true");
    for word in ["auth.required=true", "http.listen_without_keys=true"] {
        desk.run(&["config", "--set", word]).assert_code(0);
    }
}
