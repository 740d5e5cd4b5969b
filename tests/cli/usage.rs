//! Arguments, exit codes, and roles that a configuration does not allow.

use super::Desk;

#[test]
fn an_unknown_flag_or_command_ends_with_exit_code_2() {
    let desk = Desk::new();
    for arguments in [&["--no-such-flag"][..], &["no-such-command"], &["up", "--url", "x"], &["--set", "no-value"]] {
        let said = desk.run(arguments);
        said.assert_code(2);
        assert!(!said.err.is_empty(), "{}", said.all());
    }
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let said = Desk::new().run(&["--help"]);
    said.assert_code(0);
    for word in [
        "up",
        "api",
        "worker",
        "migrate",
        "config",
        "doctor",
        "demo",
        "health",
        "submit",
        "status",
        "watch",
        "result",
        "logs",
        "cancel",
        "retry",
        "list",
        "queues",
        "kinds",
        "top",
        "completions",
        "webhooks",
        "openapi",
        "Exit codes",
        "--set",
        "--config",
    ] {
        said.assert_out_has(word);
    }
}

#[test]
fn a_role_on_its_own_needs_rabbitmq_and_says_so() {
    let desk = Desk::new();
    for role in ["api", "worker"] {
        let said = desk.run(&[role]);
        said.assert_code(2);
        said.assert_err_has(&format!("`raincheck {role}` needs RabbitMQ"));
        said.assert_err_has("`raincheck up`");
    }
    assert!(desk.files().is_empty(), "{:?}", desk.files());
}

#[test]
fn health_fails_where_nothing_listens() {
    let said = Desk::new().run(&["health", "--url", "http://127.0.0.1:1"]);
    said.assert_code(1);
    said.assert_err_has("http://127.0.0.1:1 does not answer");
}

#[test]
fn a_url_that_is_none_is_an_argument_that_is_wrong() {
    for command in ["demo", "health"] {
        let said = Desk::new().run(&[command, "--url", "localhost"]);
        said.assert_code(2);
        said.assert_err_has("\"localhost\" is not a URL such as http://127.0.0.1:8080");
    }
}

#[test]
fn a_demo_of_an_instance_that_is_not_there_says_so() {
    let said = Desk::new().run(&["demo", "--url", "http://127.0.0.1:1"]);
    said.assert_code(1);
    said.assert_err_has("http://127.0.0.1:1 does not answer");
}

#[test]
fn a_new_key_is_printed_is_another_each_time_and_can_be_configured() {
    let desk = Desk::new();
    for (key, setting, prefix) in
        [("secret", "webhooks.secrets.default", "whsec_"), ("signing-key", "webhooks.signing_keys", "whsk_")]
    {
        let keys = [desk.run(&["webhooks", key]), desk.run(&["webhooks", key])];
        for said in &keys {
            said.assert_code(0);
        }
        let keys = keys.map(|said| said.out.trim().to_owned());
        assert!(keys[0].starts_with(prefix) && keys[0] != keys[1], "{keys:?}");
        let said = desk.run(&["config", "--set", &format!("{setting}={},{}", keys[0], keys[1])]);
        said.assert_code(0);
        assert!(!said.out.contains(keys[0].trim_start_matches(prefix)), "{}", said.out);
    }
}

#[test]
fn the_document_of_the_api_is_printed_as_it_is_configured() {
    let said = Desk::new().run(&["openapi", "--set", "jobs.max_tags=3"]);
    said.assert_code(0);
    let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/jobs"]["post"].is_object());
    assert_eq!(document.pointer("/components/schemas/Submission/properties/tags/maxItems"), Some(&3.into()));
}
