//! What may be a secret is shown by nothing that is wrong.

use super::from_layers;

#[test]
fn what_may_be_a_secret_is_shown_by_no_problem() {
    let toml = r#"
        [blobs]
        secret_access_key = 5555
        [store]
        url = "postgres://me@host/db?sslpassword=pa55&sslmode=verify-full"
        [kinds.table]
        command = ["true"]
        env = "{\"TOKEN\": \"pa55\"}"
        [kinds.number]
        http = "http://host"
        headers = { authorization = 5555 }
    "#;
    let environment =
        [("RAINCHECK__KINDS__TEXT__HTTP", "http://host"), ("RAINCHECK__KINDS__TEXT__HEADERS", "{\"a\": \"pa55\"}")];
    let all = from_layers("secrets", toml, &environment, &[]).unwrap_err().join("\n");
    for expected in [
        "blobs.secret_access_key: is not text in quotes",
        "store.url: has a parameter \"sslpassword\" that is not known; there are: application_name, dbname,",
        "kinds.table.env: is not a table of text, such as { NAME = \"value\" }",
        "kinds.number.headers: `authorization` is not text in quotes",
        "kinds.text.headers: is not a table of text",
    ] {
        assert!(all.contains(expected), "{expected}\nis missing in\n{all}");
    }
    assert!(!all.contains("55"), "{all}");
    let url = "[store]\nurl = \"postgres://me@host/db?sslmode=bogus\"";
    let all = from_layers("mode", url, &[], &[]).unwrap_err().join("\n");
    assert!(all.contains("store.url: has an sslmode that is none of: disable, allow,"), "{all}");
}
