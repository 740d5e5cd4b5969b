//! Shows jobs as they move: bars on a terminal, lines elsewhere, JSON for programs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::refusal::last_words;
use super::table::plain;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Steps of a bar: tenths of a percent.
const STEPS: u64 = 1000;

/// Where jobs are shown.
pub(super) struct Board<'a> {
    terminal: &'a Terminal,
    form: Form,
}

enum Form {
    Bars {
        bars: Box<MultiProgress>,
        by_id: Mutex<HashMap<String, ProgressBar>>,
        style: ProgressStyle,
    },
    Lines,
    /// On stderr, where stdout is for a result.
    LinesBeside,
    Json,
}

impl<'a> Board<'a> {
    /// On stdout.
    pub(super) fn new(terminal: &'a Terminal, json: bool) -> Self {
        let form = match (json, terminal.redraws()) {
            (true, _) => Form::Json,
            (false, true) => bars(ProgressDrawTarget::stdout(), terminal.colours()),
            (false, false) => Form::Lines,
        };
        Self { terminal, form }
    }

    /// On stderr, for people.
    pub(super) fn beside(terminal: &'a Terminal) -> Self {
        let beside = terminal.redraws_beside();
        let colours = terminal.colours_logs();
        Self { terminal, form: if beside { bars(ProgressDrawTarget::stderr(), colours) } else { Form::LinesBeside } }
    }

    /// Draws a job before anything is known of it, so that bars stand in the order of the command line.
    pub(super) fn announce(&self, id: &str) {
        if let Form::Bars { .. } = self.form {
            self.bar(id);
        }
    }

    /// Shows a job as it is now.
    pub(super) fn show(&self, job: &Value) -> Result<(), Failure> {
        let (id, status) = (job["id"].as_str().unwrap_or("?"), job["status"].as_str().unwrap_or("?"));
        match &self.form {
            Form::Json => return self.terminal.say(job),
            Form::Lines => return self.terminal.say(line(self.terminal, id, status, job)),
            Form::LinesBeside => self.terminal.note(line(self.terminal, id, status, job)),
            Form::Bars { .. } => {
                if let Some(bar) = self.bar(id) {
                    draw(&bar, status, job);
                }
            }
        }
        Ok(())
    }

    fn bar(&self, id: &str) -> Option<ProgressBar> {
        let Form::Bars { bars, by_id, style } = &self.form else { return None };
        // A map of bars has no half-done state.
        let mut by_id = by_id.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let bar = bars.add(ProgressBar::new(STEPS).with_style(style.clone()));
            bar.set_prefix(id.to_owned());
            bar.set_message("…");
            bar.tick();
            bar
        };
        Some(by_id.entry(id.to_owned()).or_insert_with(make).clone())
    }
}

fn bars(target: ProgressDrawTarget, colours: bool) -> Form {
    let bar = if colours { "{bar:16.green/dim}" } else { "{bar:16}" };
    let style = ProgressStyle::with_template(&format!("{{prefix}} {bar} {{percent:>3}} % {{wide_msg}}"));
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("██░");
    Form::Bars { bars: Box::new(MultiProgress::with_draw_target(target)), by_id: Mutex::default(), style }
}

fn draw(bar: &ProgressBar, status: &str, job: &Value) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the steps")]
    let position = (percent(status, job).clamp(0.0, 100.0) * 10.0).round() as u64;
    bar.set_position(position);
    let text = text(status, job);
    if job["done"] == true {
        bar.abandon_with_message(text);
    } else {
        bar.set_message(text);
    }
    bar.tick();
}

fn percent(status: &str, job: &Value) -> f64 {
    if status == "succeeded" { 100.0 } else { job["progress"]["percent"].as_f64().unwrap_or(0.0) }
}

/// The status, and what there is to say of it.
fn text(status: &str, job: &Value) -> String {
    match note(job) {
        Some(note) => format!("{}: {note}", plain(status)),
        None => plain(status),
    }
}

/// What a job's handler, or its end, says.
pub(super) fn note(job: &Value) -> Option<String> {
    if job["done"] == true {
        return failed(&job["error"]);
    }
    if !job["cancel"].is_null() {
        return Some("asked to stop".to_owned());
    }
    let said = job["progress"]["message"].as_str().map(plain);
    // Between two attempts, why the last one failed is what there is to know.
    let between = matches!(job["status"].as_str(), Some("retrying" | "queued"));
    let last = job["attempts"].as_array().and_then(|attempts| attempts.last()).filter(|_| between);
    said.or_else(|| {
        let error = &last?["error"];
        Some(format!("attempt {} failed: {}", error["attempt"], failed(error)?))
    })
}

/// Why an attempt failed, and the last line of what its handler said.
fn failed(error: &Value) -> Option<String> {
    let message = error["message"].as_str().map(plain)?;
    let line = last_words(error).pop().filter(|line| !message.contains(line.as_str()));
    Some(line.map_or_else(|| message.clone(), |line| format!("{message}: {line}")))
}

fn line(terminal: &Terminal, id: &str, status: &str, job: &Value) -> String {
    let note = note(job).map(|note| format!("  {note}")).unwrap_or_default();
    format!("{id}  {}  {:>3.0} %{note}", terminal.status(&plain(status), 11), percent(status, job))
}
