//! What the environment and flags say, where everything is text.

use super::tests::{from_file, from_layers};
use super::{Run, Settings};

/// The program of kind `a`.
fn command(settings: &Settings) -> &[String] {
    match &settings.kinds[&"a".parse().unwrap()].run {
        Run::Command(program) => &program.argv,
        other => panic!("{other:?}"),
    }
}

/// The same text from the environment and from a flag.
fn from_both(test: &str, said: &str) -> [Result<Settings, Vec<String>>; 2] {
    [
        from_layers(test, "", &[("RAINCHECK__KINDS__A__COMMAND", said)], &[]),
        from_layers(test, "", &[], &[("kinds.a.command", said)]),
    ]
}

#[test]
fn a_command_is_a_list_in_json_or_with_commas_between() {
    for (text, argv) in [
        ("wc", &["wc"][..]),
        ("wc,-w", &["wc", "-w"]),
        (" wc , -w ", &["wc", "-w"]),
        (r#"["wc","-w"]"#, &["wc", "-w"]),
        (r#" ["sh", "-c", "echo a, b"] "#, &["sh", "-c", "echo a, b"]),
        (r#"["/opt/my tools/run"]"#, &["/opt/my tools/run"]),
        (r#"["[", "-f", "x", "]"]"#, &["[", "-f", "x", "]"]),
    ] {
        for settings in from_both("text", text) {
            assert_eq!(command(&settings.unwrap()), argv, "{text}");
        }
    }
    let toml = "[kinds.a]\ncommand = [\"true\"]\ntimeout = \"7s\"";
    let settings = from_layers("text-over-file", toml, &[], &[("kinds.a.command", "wc,-w")]).unwrap();
    assert_eq!(command(&settings), ["wc", "-w"]);
}

#[test]
fn a_command_that_is_no_list_is_refused_with_what_would_be_one() {
    for (text, says) in [
        ("wc -w", r#"is run without a shell, so it is a list: ["wc", "-w"]"#),
        (r#"["wc", "-w""#, r#"is not a list in JSON, such as ["PROGRAM", "ARGUMENT"]"#),
        (r#"["wc", 1]"#, "1 is not text in quotes"),
        ("[]", "names no program"),
        (" , ", "names no program"),
    ] {
        for settings in from_both("text-refused", text) {
            let problems = settings.unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].starts_with("kinds.a.command: ") && problems[0].contains(says), "{text}: {problems:?}");
        }
    }
    // A file can say what it means.
    for text in ["wc -w", "wc,-w", r#"["wc", "-w"]"#] {
        let problems = from_file("text-in-file", &format!("[kinds.a]\ncommand = '{text}'")).unwrap_err();
        assert!(problems[0].contains("is run without a shell, so it is a list: command = ["), "{text}: {problems:?}");
    }
}

#[test]
fn any_other_list_may_be_json_as_well() {
    let environment = [
        ("RAINCHECK__WORKER__QUEUES", r#"["b", "a"]"#),
        ("RAINCHECK__KINDS__A__COMMAND", "true"),
        ("RAINCHECK__KINDS__A__RETRY_EXIT_CODES", "[3, 4]"),
        ("RAINCHECK__WEBHOOKS__ALLOW", "[::1]:9000,[fd00::1]:9001"),
    ];
    let settings = from_layers("json-lists", "", &environment, &[]).unwrap();
    assert_eq!(settings.worker.queues, ["a".parse().unwrap(), "b".parse().unwrap()]);
    let Run::Command(program) = &settings.kinds[&"a".parse().unwrap()].run else { panic!("{:?}", settings.kinds) };
    assert_eq!(program.retry_exit_codes, [3, 4]);
    assert_eq!(settings.webhooks.allow.len(), 2);
}

#[test]
fn a_name_with_a_dot_in_it_is_quoted_in_a_flag_as_in_toml() {
    let toml = "[kinds.\"report.render\"]\ntimeout = \"7s\"";
    let set = [
        ("kinds.\"report.render\".builtin", "echo"),
        ("kinds.'report.render'.queue", "slow"),
        ("kinds.plain.builtin", "sleep"),
        ("tenants.\"a.b\".queued", "5"),
        ("http.workers", "2"),
    ];
    let settings = from_layers("quoted", toml, &[], &set).unwrap();
    let kind = &settings.kinds[&"report.render".parse().unwrap()];
    assert_eq!((&kind.run, kind.queue.as_str(), kind.timeout.as_secs()), (&Run::Echo, "slow", 7));
    assert_eq!(settings.kinds[&"plain".parse().unwrap()].run, Run::Sleep);
    assert_eq!(settings.quotas.of_tenants[&"a.b".parse().unwrap()].queued, Some(5));
    assert_eq!(settings.http.workers, 2);
}

#[test]
fn a_flag_that_names_no_setting_is_refused() {
    for key in
        ["kinds.\"a.b", "kinds.\"a\".", ".queue", "kinds..queue", "a b", "log\nx", "[log]\nfilter", "\"a[9]\".b", "a#b"]
    {
        let problems = from_layers("no-name", "", &[], &[(key, "x")]).unwrap_err();
        assert_eq!(problems.len(), 1, "{key:?}: {problems:?}");
        assert!(problems[0].starts_with(&format!("{key}: not the name of a setting")), "{problems:?}");
    }
}
