//! What runs a kind: `command`, `http`, `builtin`, `handler` or `remote`, and the keys that go with each.

use std::collections::BTreeMap;
use std::path::{Component, PathBuf};

use config::{Value, ValueKind};

use super::kind::{Program, Run, Upstream};
use super::layers::came_as_text;
use super::section::{Noted, Read, Section};
use super::status_rules::status_rules;
use super::value::{Parsed, boolean, json_list, list, path, size, text, texts, whole};
use super::{Secret, url};

/// What selects the runner of a kind; each has exactly one.
pub(super) const RUNNERS: [&str; 5] = ["command", "http", "builtin", "handler", "remote"];
/// Less memory than this is not enough for a process to start in; more than this is no limit.
const MEMORY: (u64, u64) = (16 << 20, 1 << 50);

/// Where upstreams end attempts themselves, under the public URL.
const COMPLETIONS: &str = "/v1/completions/";

/// How an upstream may end an attempt.
enum Completion {
    Answer,
    Callback,
}

/// `public_url`: what links of the API start with, if that is known.
pub(super) fn runner(s: &mut Section, public_url: Option<&str>) -> Read<Run> {
    let given: Vec<&str> = RUNNERS.into_iter().filter(|key| s.has(key)).collect();
    let command = s.optional("command", argv);
    let env = s.optional("env", texts);
    let directory = s.optional("directory", path);
    let output = s.optional("output", file_name);
    let memory = s.optional("memory", size(MEMORY.0, MEMORY.1));
    let retry_exit_codes = s.optional("retry_exit_codes", list(whole(1, 255)));
    let http = s.optional("http", |value| url::upstream(&text(value)?));
    let headers = s.optional("headers", headers);
    let statuses = s.optional("statuses", status_rules);
    let completion = s.optional("completion", completion);
    let ca_file = s.optional("ca_file", path);
    let delete_on_cancel = s.optional("delete_on_cancel", boolean);
    let builtin = s.optional("builtin", builtin);
    let only_true = |value: &Value| {
        let only_true = || "can only be true; without it, name a `command`, `http` or `builtin`".to_owned();
        boolean(value)?.then_some(()).ok_or_else(only_true)
    };
    let handler = s.optional("handler", only_true);
    let remote = s.optional("remote", only_true);
    for (key, needed) in [
        ("env", "command"),
        ("directory", "command"),
        ("output", "command"),
        ("memory", "command"),
        ("retry_exit_codes", "command"),
        ("output_type", "command"),
        ("headers", "http"),
        ("statuses", "http"),
        ("completion", "http"),
        ("ca_file", "http"),
        ("delete_on_cancel", "http"),
    ] {
        if s.has(key) && !s.has(needed) {
            s.problem(key, format!("means nothing without `{needed}`"));
        }
    }
    exactly_one(s, &given)?;
    let (env, directory, output, memory) = (env?, directory?, output?, memory?);
    let (retry_exit_codes, headers, statuses) = (retry_exit_codes?, headers?, statuses?);
    if let Some(argv) = command? {
        return Ok(Run::Command(Program {
            argv,
            env: env.unwrap_or_default(),
            directory,
            output,
            memory,
            retry_exit_codes: retry_exit_codes.unwrap_or_default(),
        }));
    }
    if let Some(url) = http? {
        let completions = match (completion?, public_url) {
            (None | Some(Completion::Answer), _) => None,
            (Some(Completion::Callback), Some(base)) => Some(format!("{base}{COMPLETIONS}")),
            (Some(Completion::Callback), None) => {
                let problem = "\"callback\" needs `http.public_url`: the upstream must be told where to send the end";
                return Err(s.problem("completion", problem.to_owned()));
            }
        };
        return Ok(Run::Http(Upstream {
            url,
            headers: headers.unwrap_or_default(),
            statuses: statuses.unwrap_or_default(),
            completions,
            ca_file: ca_file?,
            delete_on_cancel: delete_on_cancel?.unwrap_or(false),
        }));
    }
    match (builtin?, handler?, remote?) {
        (Some(run), ..) => Ok(run),
        (None, Some(()), _) => Ok(Run::Custom),
        (None, None, Some(())) => Ok(Run::Remote),
        (None, None, None) => Err(Noted),
    }
}

fn exactly_one(s: &mut Section, given: &[&str]) -> Read<()> {
    match given {
        [_] => Ok(()),
        [] => {
            let dotted = s.dotted("command");
            Err(s.problem(
                "command",
                format!(
                    "nothing runs this kind. Give it exactly one of: `{dotted} = [\"PROGRAM\", \"ARGUMENT\"]`, \
                     `http = \"http://…\"`, `handler = true`, `remote = true`, `builtin = \"echo\"`"
                ),
            ))
        }
        several => {
            let names = several.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ");
            Err(s.clash(
                several,
                format!("a kind is run by exactly one of command, http, builtin, handler and remote, not by {names}"),
            ))
        }
    }
}

fn argv(value: &Value) -> Parsed<Vec<String>> {
    if let ValueKind::String(line) = &value.kind {
        let words = line.split_whitespace().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        if !came_as_text(value) {
            return Err(format!("is run without a shell, so it is a list: command = [{words}]"));
        }
        if json_list(line).is_none() {
            if line.trim_start().starts_with('[') {
                return Err("is not a list in JSON, such as [\"PROGRAM\", \"ARGUMENT\"]".to_owned());
            }
            // A program with blanks in its name can be said in JSON; this is rather meant for a shell.
            if !line.contains(',') && words.contains(',') {
                return Err(format!("is run without a shell, so it is a list: [{words}]"));
            }
        }
    }
    let argv = list(text)(value)?;
    match argv.first() {
        Some(program) if !program.is_empty() && !argv.iter().any(|part| part.contains('\0')) => Ok(argv),
        _ => Err("names no program: write command = [\"PROGRAM\", \"ARGUMENT\"]".to_owned()),
    }
}

/// A file within the attempt's own folder.
fn file_name(value: &Value) -> Parsed<PathBuf> {
    let path = path(value)?;
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if inside && !path.to_string_lossy().contains('\0') {
        Ok(path)
    } else {
        Err(format!("{:?} is not a file in the attempt's own folder, such as \"out.png\"", path.display().to_string()))
    }
}

fn builtin(value: &Value) -> Parsed<Run> {
    match text(value)?.as_str() {
        "echo" => Ok(Run::Echo),
        "sleep" => Ok(Run::Sleep),
        "takeaway" => Ok(Run::Takeaway),
        other => Err(format!("{other:?} is not built in; there are \"echo\", \"sleep\" and \"takeaway\"")),
    }
}

fn completion(value: &Value) -> Parsed<Completion> {
    match text(value)?.as_str() {
        "answer" => Ok(Completion::Answer),
        "callback" => Ok(Completion::Callback),
        other => Err(format!("{other:?} is neither \"answer\" nor \"callback\"")),
    }
}

fn headers(value: &Value) -> Parsed<BTreeMap<String, Secret>> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let headers = texts(value)?.into_iter().map(|(name, text)| {
        if name.is_empty() || !name.chars().all(token) {
            Err(format!("{name:?} is not the name of a header"))
        } else if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
            Err(format!("`{name}` must be plain ASCII on one line"))
        } else {
            Ok((name.to_ascii_lowercase(), Secret::new(text)))
        }
    });
    headers.collect()
}
