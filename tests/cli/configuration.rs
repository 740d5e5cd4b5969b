//! `raincheck config`, and configurations that are wrong.

use super::Desk;

#[test]
fn all_mistakes_are_listed_at_once_with_their_keys_and_origins() {
    let desk =
        Desk::with_file("[http]\nlsiten = \"x\"\n[worker]\nlease = \"soon\"\n[kinds.words]\ncommand = \"wc -w\"\n");
    for command in ["config", "up", "api", "worker", "migrate", "demo", "health"] {
        let environment = [("RAINCHECK__JOBS__MAX_INPUT", "plenty"), ("AMQP_URL", "mqtt://me:pa55@host")];
        let said = desk.run_with(&[command, "--set", "jobs.page=0"], &environment);
        said.assert_code(2);
        said.assert_err_has("the configuration has 6 problems");
        said.assert_err_has("http.lsiten: unknown key; did you mean `listen`? (from raincheck.toml)");
        said.assert_err_has("worker.lease: \"soon\" is not a duration");
        said.assert_err_has("kinds.words.command: is run without a shell, so it is a list: command = [\"wc\", \"-w\"]");
        said.assert_err_has("jobs.page: \"0\" is not a whole number from 1 to 1000 (from the command line)");
        said.assert_err_has("(from environment variable RAINCHECK__JOBS__MAX_INPUT)");
        said.assert_err_has("broker.url: \"mqtt://\" is not a scheme known here; allowed: \"in-process\", \"amqp://");
        said.assert_nowhere("pa55");
    }
}

#[test]
fn a_log_filter_that_cannot_be_read_is_a_mistake_like_any_other() {
    let said = Desk::new().run(&["config", "--log", "loud"]);
    said.assert_code(2);
    said.assert_err_has("log.filter: \"loud\" is not a level");
    let desk = Desk::with_file("[log]\nfilter = \"info,raincheck_worker\"\n[http]\nworkers = -1\n");
    let said = desk.run(&["config"]);
    said.assert_code(2);
    said.assert_err_has("the configuration has 2 problems");
    said.assert_err_has("log.filter: \"info,raincheck_worker\" is not a level");
    said.assert_err_has("http.workers");
    let desk = Desk::new();
    for bad in ["", "info,,warn", "info,raincheck_worker", "raincheck=loud", "=info", "a=b=info", "a[b=info"] {
        desk.run(&["config", "--set", &format!("log.filter={bad}")]).assert_code(2);
    }
    for good in ["off", "WARN", "info, raincheck_api::http=trace"] {
        desk.run(&["config", "--set", &format!("log.filter={good}")]).assert_code(0);
    }
}

#[test]
fn what_config_prints_hides_secrets_and_is_read_back_as_the_same() {
    let desk = Desk::with_file(
        "[kinds.up]\nhttp = \"http://127.0.0.1:9/\"\nheaders = { authorization = \"Bearer pa55\" }\n\
         [kinds.run]\ncommand = [\"true\"]\nenv = { TOKEN = \"pa55\" }\n",
    );
    let environment = [("DATABASE_URL", "postgres://me:pa55@host/db"), ("AMQP_URL", "amqp://me:pa55@host/%2f")];
    let said = desk.run_with(&["config", "--set", "worker.concurrency=7"], &environment);
    said.assert_code(0);
    said.assert_nowhere("pa55");
    said.assert_out_has("url = \"postgres://me:***@host/db\"");
    said.assert_out_has("concurrency = 7");
    std::fs::write(desk.path().join("again.toml"), &said.out).unwrap();
    let again = desk.run(&["--config", "again.toml", "config"]);
    again.assert_code(0);
    assert_eq!(again.out, said.out);
}

#[test]
fn the_defaults_are_printed_with_their_comments_even_when_the_file_is_broken() {
    let said = Desk::with_file("this is no TOML").run(&["config", "--defaults"]);
    said.assert_code(0);
    said.assert_out_has("# Where the API listens");
}

#[test]
fn a_file_that_was_named_and_is_not_there_is_a_mistake() {
    let said = Desk::new().run(&["config", "--config", "nowhere.toml"]);
    said.assert_code(2);
    said.assert_err_has("nowhere.toml: cannot be read");
}
