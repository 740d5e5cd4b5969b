//! Real programs, as every machine has them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;

use raincheck_shared::domain::{Failure, FailureCode};
use rustix::process::test_kill_process;

use super::start::is_the_workers_own;
use super::*;
use crate::handlers::trial::{Folder, attempt, gone, pid_in};

fn program(argv: &[&str]) -> Command {
    let argv = argv.iter().map(|part| (*part).to_owned()).collect();
    Command::new(Program { argv, ..Program::default() }, "text/plain", Arc::new(Scratch::inside(None)))
}

fn shell(script: &str) -> Command {
    program(&["sh", "-c", script])
}

fn text(bytes: impl Into<Bytes>) -> Payload {
    Payload { content_type: "text/plain".to_owned(), bytes: bytes.into() }
}

async fn run(command: &Command, input: impl Into<Bytes>) -> Outcome {
    let (context, _, _) = attempt();
    command.run(text(input), context).await
}

#[track_caller]
fn failed(outcome: Outcome) -> HandlerError {
    let Outcome::Fail(error) = outcome else { panic!("not a failure for good: {outcome:?}") };
    error
}

#[track_caller]
fn to_retry(outcome: Outcome) -> HandlerError {
    let Outcome::Retry { error, after: None } = outcome else { panic!("not to be retried: {outcome:?}") };
    error
}

#[tokio::test]
async fn what_it_writes_is_the_output() {
    let outcome = run(&program(&["wc", "-w"]), "one two three").await;
    let Outcome::Complete(output) = outcome else { panic!("{outcome:?}") };
    assert_eq!(output.content_type, "text/plain");
    assert_eq!(String::from_utf8_lossy(&output.bytes).trim(), "3");
}

#[tokio::test]
async fn ten_megabytes_pass_through_byte_for_byte() {
    let input: Vec<u8> = (0..2_621_440_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let outcome = run(&program(&["cat"]), input.clone()).await;
    let Outcome::Complete(output) = outcome else { panic!("{outcome:?}") };
    assert!(output.bytes == input, "{} bytes came back, or others", output.bytes.len());
}

#[tokio::test]
async fn it_is_told_what_it_runs_for() {
    let mut command = shell(
        r#"echo "$RAINCHECK_JOB_ID $RAINCHECK_KIND $RAINCHECK_ATTEMPT $RAINCHECK_CONTENT_TYPE"; echo "$TRACEPARENT $GREETING"; pwd"#,
    );
    let folder = Folder::new();
    command.program.env.insert("GREETING".to_owned(), "hello".to_owned());
    command.program.env.insert("RAINCHECK_ATTEMPT".to_owned(), "a lie".to_owned());
    command.program.directory = Some(folder.0.clone());
    let (mut context, _, _) = attempt();
    context.traceparent = Some("00-1-2-03".into());
    let id = context.job_id();
    let Outcome::Complete(output) = command.run(text(""), context).await else { panic!() };
    let directory = folder.0.canonicalize().unwrap();
    let expected = format!("{id} tried 1 text/plain\n00-1-2-03 hello\n{}\n", directory.display());
    assert_eq!(String::from_utf8_lossy(&output.bytes), expected);
}

#[test]
fn the_workers_own_settings_are_not_passed_on() {
    for (variable, own) in [
        ("RAINCHECK__STORE__URL", true),
        ("DATABASE_URL", true),
        ("AMQP_URL", true),
        ("RAINCHECK_JOB_ID", false),
        ("PATH", false),
    ] {
        assert_eq!(is_the_workers_own(variable), own, "{variable}");
    }
}

#[tokio::test]
async fn what_is_withheld_is_only_given_to_a_program_whose_settings_have_it() {
    // Cargo sets it for its tests.
    let mut command = shell("echo ${CARGO_PKG_NAME-none} $HOME");
    command.program.env.insert("HOME".to_owned(), "/its/own".to_owned());
    assert_eq!(run(&command, "").await, Outcome::Complete(text("raincheck-worker /its/own\n")));
    let command = command.withholding(&["CARGO_PKG_NAME", "HOME"]);
    assert_eq!(run(&command, "").await, Outcome::Complete(text("none /its/own\n")));
}

#[tokio::test]
async fn a_program_that_closes_its_stdin_early_may_still_succeed() {
    let outcome = run(&shell("exec <&-; echo enough"), vec![b'x'; 4 << 20]).await;
    assert_eq!(outcome, Outcome::Complete(text("enough\n")));
    let outcome = run(&program(&["head", "-c", "3"]), vec![b'x'; 4 << 20]).await;
    assert_eq!(outcome, Outcome::Complete(text("xxx")));
}

#[tokio::test]
async fn a_program_that_reads_nothing_until_it_has_written_much_does_not_hang() {
    let outcome = run(&shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; cat"), vec![1; 1 << 20]).await;
    let Outcome::Complete(output) = outcome else { panic!("{outcome:?}") };
    assert_eq!(output.bytes.len(), 1_000_000 + (1 << 20));
}

#[tokio::test]
async fn an_exit_code_is_worth_another_attempt_unless_it_is_not_among_those_listed() {
    let mut command = shell("exit 3");
    assert_eq!(to_retry(run(&command, "").await).message, "exited with code 3");
    command.program.retry_exit_codes = vec![3, 75];
    assert_eq!(to_retry(run(&command, "").await).message, "exited with code 3");
    command.program.retry_exit_codes = vec![75];
    assert_eq!(failed(run(&command, "").await).message, "exited with code 3");
}

#[tokio::test]
async fn a_death_by_signal_counts_as_128_and_the_signal() {
    let mut command = shell("kill -9 $$");
    assert_eq!(to_retry(run(&command, "").await).message, "killed by signal 9");
    command.program.retry_exit_codes = vec![75];
    assert_eq!(failed(run(&command, "").await).message, "killed by signal 9");
    command.program.retry_exit_codes = vec![137];
    assert_eq!(to_retry(run(&command, "").await).message, "killed by signal 9");
}

#[tokio::test]
async fn the_end_of_stderr_is_kept_when_it_fails() {
    let error = to_retry(run(&shell("head -c 100000 /dev/zero >&2; echo 'the reason' >&2; exit 1"), "").await);
    assert_eq!(error.detail.len(), Failure::DETAIL_LIMIT);
    assert!(error.detail.ends_with(b"the reason\n"));
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_for_good_and_is_named() {
    let error = failed(run(&program(&["no-such-program-here"]), "").await);
    assert_eq!(error.message, "the program \"no-such-program-here\" was not found");

    let folder = Folder::new();
    let file = folder.file("plain.txt");
    std::fs::write(&file, "text").unwrap();
    let error = failed(run(&program(&[file.to_str().unwrap()]), "").await);
    assert!(error.message.ends_with("plain.txt\" may not be executed"), "{}", error.message);

    let mut command = program(&["cat"]);
    command.program.directory = Some(folder.file("missing"));
    let error = failed(run(&command, "").await);
    assert!(error.message.contains("missing is not there"), "{}", error.message);

    assert!(failed(run(&program(&[]), "").await).message.contains("no program is named"));
}

#[tokio::test]
async fn too_much_output_is_cut_while_it_is_written() {
    let folder = Folder::new();
    let file = folder.file("pid");
    let (mut context, _, _) = attempt();
    context.max_output = 100_000;
    let script = format!("echo $$ > {}; exec yes", file.display());
    let started = instant();
    let error = failed(shell(&script).run(text(""), context).await);
    assert_eq!(error.code, FailureCode::OutputTooLarge);
    assert!(error.message.contains("100000 bytes"), "{}", error.message);
    assert!(started.elapsed() < Duration::from_secs(8));
    gone(pid_in(&file).await).await;
}

#[tokio::test]
async fn a_stop_ends_the_program_and_what_it_started() {
    let folder = Folder::new();
    let (leader, grandchild) = (folder.file("leader"), folder.file("grandchild"));
    let script = format!(
        "echo $$ > {}; (echo 'on my way' >&2; exec sh -c 'echo $$ > {}; sleep 1000; true') & wait",
        leader.display(),
        grandchild.display(),
    );
    let (context, _, canceled) = attempt();
    let command = shell(&script);
    let stopping = async {
        let pids = (pid_in(&leader).await, pid_in(&grandchild).await);
        canceled.cancel();
        pids
    };
    let (outcome, (leader, grandchild)) = tokio::join!(command.run(text(""), context), stopping);
    let error = to_retry(outcome);
    assert!(error.message.contains("told to stop"), "{}", error.message);
    assert_eq!(error.detail, b"on my way\n");
    assert!(test_kill_process(leader).is_err(), "the program itself was not reaped");
    gone(grandchild).await;
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed() {
    let folder = Folder::new();
    let file = folder.file("pid");
    let (context, _, canceled) = attempt();
    let command = shell(&format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done", file.display()));
    let stopping = async {
        let pid = pid_in(&file).await;
        canceled.cancel();
        pid
    };
    let (outcome, pid) = tokio::join!(command.run(text(""), context), stopping);
    to_retry(outcome);
    assert!(test_kill_process(pid).is_err(), "the program was not reaped");
}

#[tokio::test]
async fn a_program_that_is_asked_to_stop_may_say_why_it_could_not_finish() {
    let folder = Folder::new();
    let file = folder.file("pid");
    let script =
        format!("trap 'echo half done >&2; exit 4' TERM; echo $$ > {}; while :; do sleep 0.05; done", file.display());
    let (context, _, canceled) = attempt();
    let command = shell(&script);
    let stopping = async {
        pid_in(&file).await;
        canceled.cancel();
    };
    let (outcome, ()) = tokio::join!(command.run(text(""), context), stopping);
    assert!(to_retry(outcome).detail.ends_with(b"half done\n"));
}

#[tokio::test]
async fn a_dropped_attempt_leaves_no_process_behind() {
    let folder = Folder::new();
    let (leader, grandchild) = (folder.file("leader"), folder.file("grandchild"));
    let script =
        format!("echo $$ > {}; sh -c 'echo $$ > {}; sleep 1000; true'; true", leader.display(), grandchild.display());
    let (context, _, _) = attempt();
    let command = shell(&script);
    let pids = tokio::select! {
        outcome = command.run(text(""), context) => panic!("{outcome:?}"),
        pids = async { (pid_in(&leader).await, pid_in(&grandchild).await) } => pids,
    };
    gone(pids.0).await;
    gone(pids.1).await;
}

#[tokio::test]
async fn what_it_leaves_running_neither_holds_it_up_nor_survives_it() {
    let folder = Folder::new();
    let file = folder.file("pid");
    let started = instant();
    let script = format!("sh -c 'echo $$ > {}; sleep 1000; true' & echo done", file.display());
    let outcome = run(&shell(&script), vec![b'x'; 4 << 20]).await;
    assert_eq!(outcome, Outcome::Complete(text("done\n")));
    assert!(started.elapsed() < Duration::from_secs(8));
    gone(pid_in(&file).await).await;

    let quiet = folder.file("quiet");
    let script = format!(
        "sh -c 'echo $$ > {0}; sleep 1000; true' <&- >&- 2>&- & while ! [ -s {0} ]; do sleep 0.01; done; echo done",
        quiet.display()
    );
    assert_eq!(run(&shell(&script), "").await, Outcome::Complete(text("done\n")));
    gone(pid_in(&quiet).await).await;
}

#[tokio::test]
async fn somebody_outside_its_group_cannot_hold_it_up_either() {
    let folder = Folder::new();
    let file = folder.file("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}; exec sleep 30' & while ! [ -s {0} ]; do sleep 0.01; done; echo done",
        file.display()
    );
    let started = instant();
    assert_eq!(run(&shell(&script), "").await, Outcome::Complete(text("done\n")));
    assert!(started.elapsed() < Duration::from_secs(10));
    let escaped = pid_in(&file).await;
    rustix::process::kill_process(escaped, rustix::process::Signal::KILL).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test measures that nothing hung")]
fn instant() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn each_attempt_has_a_folder_of_its_own_that_goes_with_it() {
    let command = shell("touch left behind && mktemp >/dev/null && ls && echo $PWD && test $PWD = $RAINCHECK_FOLDER");
    let Outcome::Complete(output) = run(&command, "").await else { panic!() };
    let text = String::from_utf8(output.bytes.to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["behind", "left"], "temporary files are elsewhere: {text}");
    assert!(!PathBuf::from(lines[2]).exists(), "{text}");
    let Outcome::Complete(again) = run(&command, "").await else { panic!() };
    assert_ne!(output.bytes, again.bytes);
}

#[tokio::test]
async fn a_program_whose_name_is_a_path_starts_where_the_worker_is() {
    let relative = PathBuf::from("target").join(format!("tried-{}", std::process::id()));
    std::fs::create_dir_all("target").unwrap();
    std::fs::write(&relative, "#!/bin/sh\necho found\n").unwrap();
    std::fs::set_permissions(&relative, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = run(&program(&[relative.to_str().unwrap()]), "").await;
    std::fs::remove_file(&relative).unwrap();
    assert_eq!(outcome, Outcome::Complete(text("found\n")));
}

#[tokio::test]
async fn it_is_told_its_fence_and_its_deadline() {
    let (context, _, _) = attempt();
    let expected = format!(
        "{} {}\n",
        context.fence(),
        context.deadline().format(&time::format_description::well_known::Rfc3339).unwrap()
    );
    let outcome = shell("echo $RAINCHECK_FENCE $RAINCHECK_DEADLINE").run(text(""), context).await;
    assert_eq!(outcome, Outcome::Complete(text(expected)));
}

#[tokio::test]
async fn what_it_says_on_stderr_is_progress_a_type_and_a_log() {
    let (context, reported, _) = attempt();
    let script = "echo '::progress 42 rendering' >&2; echo hello >&2; echo '::content-type image/x' >&2; printf done";
    let outcome = shell(script).run(text(""), context.clone()).await;
    let expected = Payload { content_type: "image/x".to_owned(), bytes: "done".into() };
    assert_eq!(outcome, Outcome::Complete(expected));
    let progress = reported.borrow().clone().unwrap();
    assert_eq!((progress.percent, progress.message.as_deref()), (42.0, Some("rendering")));
    assert_eq!(context.logged(), ["hello"]);
}

#[tokio::test]
async fn exit_codes_say_whether_another_attempt_is_worth_it_and_when() {
    let outcome = run(&shell("echo '::retry-after 90s' >&2; exit 75"), "").await;
    let Outcome::Retry { error, after } = outcome else { panic!("{outcome:?}") };
    assert_eq!((error.message.as_str(), after), ("exited with code 75", Some(Duration::from_secs(90))));
    failed(run(&shell("exit 65"), "").await);
    let mut command = shell("exit 75");
    command.program.retry_exit_codes = vec![3];
    to_retry(run(&command, "").await);
    let mut command = shell("exit 65");
    command.program.retry_exit_codes = vec![65];
    to_retry(run(&command, "").await);
}

fn with_output(script: &str) -> Command {
    let mut command = shell(script);
    command.program.output = Some(PathBuf::from("out/picture.png"));
    command.output_type = "image/png".to_owned();
    command
}

#[tokio::test]
async fn a_file_can_be_the_output_and_what_it_prints_goes_into_the_log_then() {
    let (context, _, _) = attempt();
    let script = r#"mkdir out; cat > "$RAINCHECK_OUTPUT"; cmp "$RAINCHECK_OUTPUT" out/picture.png && echo printed"#;
    let bytes: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(1000);
    let outcome = with_output(script).run(text(bytes.clone()), context.clone()).await;
    assert_eq!(outcome, Outcome::Complete(Payload { content_type: "image/png".to_owned(), bytes: bytes.into() }));
    assert_eq!(context.logged(), ["printed"]);
}

#[tokio::test]
async fn an_output_that_is_not_a_file_of_its_own_fails_for_good() {
    for (script, said) in [
        ("true", "succeeded without its output: there is no out/picture.png"),
        ("mkdir -p out/picture.png", "its output out/picture.png is not a file"),
        ("mkdir out; ln -s /etc/passwd out/picture.png", "its output out/picture.png is not a file"),
        ("mkdir out; mkfifo out/picture.png", "its output out/picture.png is not a file"),
    ] {
        assert_eq!(failed(run(&with_output(script), "").await).message, said);
    }
    let (mut context, _, _) = attempt();
    context.max_output = 1000;
    let outcome = with_output("mkdir out; head -c 1001 /dev/zero > out/picture.png").run(text(""), context).await;
    assert_eq!(failed(outcome).code, FailureCode::OutputTooLarge);
}

#[tokio::test]
async fn a_process_that_wants_more_memory_than_it_may_have_does_not_get_it() {
    let mut command = shell("head -c 200M /dev/zero | tail -c 200M >/dev/null");
    command.program.argv[0] = "bash".to_owned();
    // Limited from outside, it is so once it is given its input, and for what it starts from then on.
    command.program.argv[2].insert_str(0, "set -o pipefail; cat; ");
    assert!(matches!(run(&command, "").await, Outcome::Complete(_)), "it can without a limit");
    command.program.memory = Some(64 << 20);
    let error = to_retry(run(&command, "").await);
    assert!(String::from_utf8_lossy(&error.detail).contains("memory exhausted"), "{error:?}");
}
