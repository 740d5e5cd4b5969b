//! `raincheck doctor`: looks for what is wrong, and says what to do about it. It changes nothing and never hangs.

mod blobs;
mod broker;
mod kinds;
mod listen;
mod schedules;
mod store;

use std::time::Duration;

use raincheck_shared::config::{ConfigErrors, Settings};
use raincheck_shared::lifecycle::{Shutdown, SystemClock};

use crate::failure::Failure;
use crate::terminal::{Mark, Terminal};

/// How long any one check may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found, in order.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

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

    /// Prints what is new.
    fn print(&mut self, terminal: &Terminal) -> usize {
        let found = std::mem::take(&mut self.0);
        for Finding { mark, what, advice } in &found {
            terminal.finding(*mark, what, advice.as_deref());
        }
        found.iter().filter(|finding| finding.mark == Mark::Bad).count()
    }
}

pub(super) async fn run(loaded: Result<Settings, Failure>, terminal: &Terminal) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let mut bad = 0;
    match loaded {
        Ok(settings) => {
            findings.good("The configuration is valid");
            bad += findings.print(terminal);
            let shutdown = Shutdown::new();
            let running = listen::check(&settings.http, &mut findings).await;
            store::check(&settings.store, running, SystemClock::shared(), &mut findings).await;
            bad += findings.print(terminal);
            blobs::check(&settings, &shutdown, &mut findings).await;
            bad += findings.print(terminal);
            broker::check(&settings, &shutdown, &mut findings).await;
            bad += findings.print(terminal);
            kinds::check(&settings, &mut findings);
            schedules::check(&settings, &SystemClock, &mut findings);
            bad += findings.print(terminal);
            shutdown.finish(Duration::from_secs(1)).await;
        }
        Err(Failure::Config(ConfigErrors(problems))) => {
            for problem in problems {
                findings.bad(
                    problem.to_string(),
                    "correct this setting; `raincheck config --defaults` explains each, and nothing else was looked at",
                );
            }
            bad += findings.print(terminal);
        }
        Err(other) => return Err(other),
    }
    match bad {
        0 => {
            terminal.line("\nAll is well.");
            Ok(())
        }
        bad => {
            terminal.line(format_args!("\n{bad} thing{} to mend.", if bad == 1 { "" } else { "s" }));
            Err(Failure::Said)
        }
    }
}
