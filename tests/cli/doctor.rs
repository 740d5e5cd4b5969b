//! `raincheck doctor` on setups that are broken, each in its own way. It must always come to an end.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use super::{Desk, Said};
use crate::harness::cluster::{new_database, required};
use crate::harness::store::POSTGRES_URL;
use crate::harness::wait::unique;

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
         [kinds.lost]\ncommand = [\"no-such-program\"]\n[kinds.shell]\ncommand = [\"sh\"]\n\
         [kinds.own]\nhandler = true\n"
    ));
    #[expect(clippy::disallowed_methods, reason = "how long a process takes is measured")]
    let started = Instant::now();
    let said = desk.run(&["doctor"]);
    assert!(started.elapsed() < Duration::from_mins(1), "{}", said.all());
    said.assert_code(1);
    said.assert_out_has(
        "✗ the store cannot be reached: the store is not available: there was no connection to the database in time: \
         Connection refused (os error 111)\n",
    );
    said.assert_out_has(&format!("✗ amqp://me:***@{silent}"));
    said.assert_out_has("✗ kinds.lost: there is no program \"no-such-program\"");
    said.assert_out_has("✓ kinds.shell: runs /");
    said.assert_out_has("! kinds.own: this program brings no handler for it");
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
fn what_up_refuses_is_a_finding() {
    for (toml, finding) in [
        (
            "[kinds.a]\nhttp = \"https://127.0.0.1:9/\"\nca_file = \"nowhere.pem\"\n",
            "✗ kinds.a.http cannot be used: `ca_file` cannot be used: its file of authorities cannot be read",
        ),
        ("[kinds.a]\nhandler = true\n", "✗ kinds.a: this program brings no handler for it"),
        ("[blobs]\nurl = \"directory:file/blobs\"\n", "✗ the folder of blobs file/blobs cannot be made: file: "),
        (
            "[webhooks]\nca_file = \"file\"\n",
            "✗ webhooks.ca_file: file: its file of authorities holds what is no authority's certificate",
        ),
    ] {
        let desk = Desk::with_file(&format!("[http]\nlisten = \"127.0.0.1:0\"\n{toml}"));
        std::fs::write(desk.path().join("file"), "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n")
            .unwrap();
        let said = desk.run(&["doctor"]);
        said.assert_code(1);
        said.assert_out_has(finding);
        said.assert_out_has("1 thing to mend.");
        assert_eq!(desk.files().len(), 2, "it has made something: {:?}", desk.files());
        let said = desk.run(&["up"]);
        assert_ne!(said.code, 0, "{}", said.all());
    }
}

#[test]
fn a_handler_of_another_program_is_no_finding_where_this_one_leaves_its_queue_alone() {
    let toml = "[http]\nlisten = \"127.0.0.1:0\"\n[worker]\nqueues = [\"default\"]\n\
                [kinds.a]\nhandler = true\nqueue = \"others\"\n";
    let said = Desk::with_file(toml).run(&["doctor"]);
    said.assert_code(0);
    said.assert_out_has("! kinds.a: this program brings no handler for it");
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

#[test]
fn schedules_are_looked_at_and_what_is_wrong_with_one_is_told_by_its_field() {
    let wrong = "[schedules.a]\ncron = \"0 25 * * *\"\nkind = \"echo\"\n\
                 [schedules.b]\ncron = \"Mars/Base 0 7 * * *\"\nkind = \"echo\"\n\
                 [schedules.c]\ncron = \"0 7 * * *\"\nkind = \"nope\"\n";
    for (command, code) in [("doctor", 1), ("up", 2), ("api", 2)] {
        let said = Desk::with_file(wrong).run(&[command]);
        said.assert_code(code);
        let all = said.all();
        assert!(all.contains("schedules.a.cron: the hour \"25\""), "{all}");
        assert!(all.contains("schedules.b.cron: there is no time zone \"Mars/Base\""), "{all}");
        assert!(all.contains("schedules.c.kind: there is no kind \"nope\""), "{all}");
    }
    // These can be read, and still nothing of them could be submitted.
    let refused = "[http]\nlisten = \"127.0.0.1:0\"\n[schedules.a]\ncron = \"0 7 * * *\"\nkind = \"echo\"\nqueue = \"nowhere\"\n\
                   [schedules.b]\ncron = \"Europe/Zurich 0 7 * * *\"\nkind = \"echo\"\nmetadata = { tick = \"x\" }\n\
                   [schedules.c]\ncron = \"Europe/Zurich 0 7 * * *\"\nkind = \"echo\"\n";
    let desk = Desk::with_file(refused);
    let said = desk.run(&["doctor"]);
    said.assert_code(1);
    said.assert_out_has("✗ schedules.a: queue: ");
    said.assert_out_has("✗ schedules.b: metadata.tick: is what the schedule itself says here");
    said.assert_out_has("✓ schedules.c: next at 20");
    said.assert_out_has("T07:00:00+0");
    let said = desk.run(&["up"]);
    assert_ne!(said.code, 0);
    said.assert_err_has("schedules.a cannot be: queue: ");
}

#[tokio::test]
async fn a_role_that_cannot_make_partitions_is_a_doubt() {
    let url = new_database(&required(POSTGRES_URL)).await;
    let desk = Desk::with_file("[http]\nlisten = \"127.0.0.1:0\"\n");
    desk.run_with(&["migrate"], &[("DATABASE_URL", &url)]).assert_code(0);
    let lacks = ["the tables belong to another role", "this role may create nothing in the schema"];
    let own = desk.run_with(&["doctor"], &[("DATABASE_URL", &url)]);
    own.assert_code(0);
    for lack in lacks {
        own.assert_nowhere(lack);
    }

    let role = Role::granted(&url, "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public").await;
    role.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let said = role.doctor(&desk);
    said.assert_code(0);
    for lack in lacks {
        said.assert_out_has(&format!("! {lack}"));
    }
    role.forget().await;
}

#[tokio::test]
async fn a_role_that_may_not_read_and_write_all_tables_is_a_finding_that_names_them() {
    let url = new_database(&required(POSTGRES_URL)).await;
    let desk = Desk::with_file("[http]\nlisten = \"127.0.0.1:0\"\n");
    desk.run_with(&["migrate"], &[("DATABASE_URL", &url)]).assert_code(0);

    let role = Role::granted(&url, "SELECT ON ALL TABLES IN SCHEMA public").await;
    let said = role.doctor(&desk);
    said.assert_code(1);
    said.assert_out_has("✗ this role lacks rights: ");
    said.assert_out_has("INSERT, UPDATE, DELETE on batches, deliveries, dispatches, ");

    // As after a migration that adds a table, where the grants named each.
    role.run(&format!("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}", role.name)).await;
    role.doctor(&desk).assert_code(0);
    role.run(&format!("REVOKE ALL ON schedules FROM {}", role.name)).await;
    let said = role.doctor(&desk);
    said.assert_code(1);
    said.assert_out_has("✗ this role lacks rights: SELECT, INSERT, UPDATE, DELETE on schedules\n");
    said.assert_out_has("1 thing to mend.");
    role.forget().await;

    // No table is left out but those that no statement names any more.
    let role = Role::granted(&url, "SELECT ON _sqlx_migrations").await;
    let said = role.doctor(&desk);
    let names =
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                 AND relname !~ '^jobs_[0-9]+$' AND relname NOT IN ('_sqlx_migrations', 'batch_events')";
    let mut door = PgConnection::connect(&url).await.unwrap();
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut door).await.unwrap();
    assert!(names.len() > 15, "{names:?}");
    let found = said.out.lines().find(|line| line.starts_with("✗ this role lacks rights: ")).unwrap();
    for name in names {
        assert!(found.split([' ', ',', ';']).any(|word| word == name), "{name} is not in {found}");
    }
    role.forget().await;
}

/// A role of a test's own, for its database.
struct Role {
    name: String,
    url: String,
    theirs: String,
}

impl Role {
    /// One that may do this and may log in.
    async fn granted(url: &str, rights: &str) -> Self {
        let name = format!("reader_{}", unique());
        let (scheme, rest) = url.split_once("://").unwrap();
        let theirs = format!("{scheme}://{name}:pa55@{}", rest.split_once('@').map_or(rest, |(_, rest)| rest));
        let role = Self { name, url: url.to_owned(), theirs };
        role.run(&format!("CREATE ROLE {0} LOGIN PASSWORD 'pa55'; GRANT {rights} TO {0}", role.name)).await;
        role
    }

    /// Runs statements as whom the tables belong to.
    async fn run(&self, statements: &str) {
        let mut door = PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&mut door).await.unwrap();
    }

    fn doctor(&self, desk: &Desk) -> Said {
        desk.run_with(&["doctor"], &[("DATABASE_URL", &self.theirs)])
    }

    async fn forget(self) {
        self.run(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name)).await;
    }
}
