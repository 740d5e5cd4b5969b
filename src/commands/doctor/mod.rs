//! `raincheck doctor`: looks for what is wrong, and says what to do about it. It changes nothing and never hangs.

mod blobs;
mod broker;
mod folder;
mod kinds;
mod listen;
mod schedules;
mod store;

use std::time::Duration;

use raincheck_shared::config::{ConfigErrors, Settings};
use raincheck_shared::lifecycle::{Shutdown, SystemClock};
use serde_json::json;

use crate::failure::Failure;
use crate::terminal::{Mark, Terminal};

/// How long any one check may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found, in order.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

/// Where findings are shown, and how many there are to mend.
struct Report<'a> {
    terminal: &'a Terminal,
    json: bool,
    bad: usize,
}

#[derive(Debug)]
struct Finding {
    mark: Mark,
    what: String,
    advice: Option<String>,
}

impl Findings {
    fn good(&mut self, what: impl Into<String>) {
        self.0.push(Finding { mark: Mark::Good, what: what.into(), advice: None });
    }

    fn doubt(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding { mark: Mark::Doubt, what: what.into(), advice: Some(advice.into()) });
    }

    fn bad(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding { mark: Mark::Bad, what: what.into(), advice: Some(advice.into()) });
    }
}

impl Report<'_> {
    /// Shows what is new.
    fn print(&mut self, findings: &mut Findings) -> Result<(), Failure> {
        for Finding { mark, what, advice } in std::mem::take(&mut findings.0) {
            self.bad += usize::from(mark == Mark::Bad);
            if self.json {
                let mark = match mark {
                    Mark::Good => "good",
                    Mark::Doubt => "doubt",
                    Mark::Bad => "bad",
                };
                self.terminal.say(json!({ "mark": mark, "what": what, "advice": advice }))?;
            } else {
                self.terminal.finding(mark, &what, advice.as_deref());
            }
        }
        Ok(())
    }
}

pub(super) async fn run(loaded: Result<Settings, Failure>, json: bool, terminal: &Terminal) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let mut report = Report { terminal, json, bad: 0 };
    match loaded {
        Ok(settings) => {
            findings.good("The configuration is valid");
            report.print(&mut findings)?;
            let shutdown = Shutdown::new();
            let running = listen::check(&settings.http, &mut findings).await;
            let owner = store::check(&settings.store, running, SystemClock::shared(), &mut findings).await;
            report.print(&mut findings)?;
            blobs::check(&settings, owner, &shutdown, &mut findings).await;
            report.print(&mut findings)?;
            broker::check(&settings, &shutdown, &mut findings).await;
            report.print(&mut findings)?;
            kinds::check(&settings, &mut findings);
            schedules::check(&settings, &SystemClock, &mut findings);
            report.print(&mut findings)?;
            shutdown.finish(Duration::from_secs(1)).await;
        }
        Err(Failure::Config(ConfigErrors(problems))) => {
            for problem in problems {
                findings.bad(
                    problem.to_string(),
                    "correct this setting; `raincheck config --defaults` explains each, and nothing else was looked at",
                );
            }
            report.print(&mut findings)?;
        }
        Err(other) => return Err(other),
    }
    match report.bad {
        0 if json => Ok(()),
        0 => {
            terminal.line("\nAll is well.");
            Ok(())
        }
        _ if json => Err(Failure::Said),
        bad => {
            terminal.line(format_args!("\n{bad} thing{} to mend.", if bad == 1 { "" } else { "s" }));
            Err(Failure::Said)
        }
    }
}
