//! `raincheck top`: queues and the newest jobs on the whole terminal, until `q` or Ctrl-C. The terminal is as it was
//! afterwards, however this ends.

use std::io::{Read, stdin};
use std::os::fd::AsFd;
use std::time::Duration;

use raincheck_client::Request;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::TopArgs;
use super::caller::Caller;
use super::{list, queues};
use crate::failure::Failure;
use crate::terminal::Terminal;

const OPEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const CLOSE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";
/// How often the keyboard is looked at.
const KEYS: Duration = Duration::from_millis(100);
/// Rows of jobs where the terminal does not tell its size.
const ROWS: usize = 24;

pub(super) async fn run(arguments: &TopArgs, caller: &Caller, terminal: &Terminal) -> Result<(), Failure> {
    if arguments.reach.json {
        return Err(Failure::Usage(
            "top draws on a terminal; for programs there are `queues --json` and `list --json`".to_owned(),
        ));
    }
    if !terminal.redraws() {
        return Err(Failure::Usage("top needs a terminal; elsewhere there are `queues` and `list`".to_owned()));
    }
    // Asked once before anything is drawn: a mistake is told where it can be read.
    let first = look(caller).await?;
    let screen = Screen::open(terminal)?;
    let shown = watch(arguments, first, screen.before.is_some(), caller, terminal).await;
    drop(screen);
    shown
}

async fn watch(
    arguments: &TopArgs,
    first: (Value, Value),
    has_keys: bool,
    caller: &Caller,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let failed = |error| Failure::because("signals cannot be heard", error);
    let [mut interrupt, mut terminate, mut hangup] = {
        let [a, b, c] = kinds.map(signal);
        [a.map_err(failed)?, b.map_err(failed)?, c.map_err(failed)?]
    };
    let drawing = async {
        draw(&first, None, caller, terminal)?;
        let mut last = first;
        loop {
            tokio::time::sleep(arguments.every.max(KEYS)).await;
            let trouble = match look(caller).await {
                Ok(now) => {
                    last = now;
                    None
                }
                // It may come back; what was seen last stands as long.
                Err(failure) => Some(failure.to_string()),
            };
            draw(&last, trouble.as_deref(), caller, terminal)?;
        }
    };
    tokio::select! {
        stopped = drawing => stopped,
        () = quit_key(), if has_keys => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

async fn look(caller: &Caller) -> Result<(Value, Value), Failure> {
    let queues = caller.ask(&Request::get("/v1/queues")).await?.json;
    let jobs = caller.ask(&Request::get("/v1/jobs?limit=50")).await?.json;
    Ok((queues, jobs))
}

fn draw(
    (queues, jobs): &(Value, Value),
    trouble: Option<&str>,
    caller: &Caller,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let rows = tcgetwinsize(std::io::stdout()).map_or(ROWS, |size| usize::from(size.ws_row).max(4));
    let part = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!(
        "{}  {}",
        terminal.bold("raincheck top"),
        terminal.dim(format_args!("{}  q quits", caller.base()))
    )];
    if let Some(trouble) = trouble {
        lines.extend(trouble.lines().map(|line| terminal.bad(line)));
    }
    lines.push(String::new());
    lines.extend(queues::rows(&part(queues, "queues"), terminal));
    lines.push(String::new());
    lines.extend(list::rows(&part(jobs, "jobs"), true, caller, terminal));
    lines.truncate(rows);
    let page: Vec<String> = lines.iter().map(|line| format!("{line}{REST_OF_LINE}")).collect();
    terminal.write(format!("{HOME}{}{REST_OF_SCREEN}", page.join("\r\n")).as_bytes())
}

/// Until somebody presses `q`. Reads come back at once when there is nothing.
async fn quit_key() {
    loop {
        let mut key = [0; 16];
        let read = stdin().lock().read(&mut key).unwrap_or_default();
        if key[..read].iter().any(|byte| matches!(byte, b'q' | b'Q' | 0x1b if read == 1)) {
            return;
        }
        tokio::time::sleep(KEYS).await;
    }
}

/// The terminal while it is drawn on; put back when dropped.
struct Screen<'a> {
    terminal: &'a Terminal,
    before: Option<Termios>,
}

impl<'a> Screen<'a> {
    fn open(terminal: &'a Terminal) -> Result<Self, Failure> {
        let before = tcgetattr(stdin().as_fd()).ok();
        let screen = Self { terminal, before };
        if let Some(before) = &screen.before {
            let mut now = before.clone();
            // Keys are neither shown nor held until the end of a line; Ctrl-C stays a signal.
            now.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            // Neither stops it half way, with the terminal as it is now.
            now.special_codes[SpecialCodeIndex::VSUSP] = 0;
            now.special_codes[SpecialCodeIndex::VQUIT] = 0;
            now.special_codes[SpecialCodeIndex::VMIN] = 0;
            now.special_codes[SpecialCodeIndex::VTIME] = 0;
            let set = tcsetattr(stdin().as_fd(), OptionalActions::Now, &now);
            set.map_err(|error| Failure::because("the terminal cannot be set", error))?;
        }
        terminal.write(OPEN.as_bytes())?;
        Ok(screen)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // There is no other terminal to say it on.
        let _ = self.terminal.write(CLOSE.as_bytes());
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin().as_fd(), OptionalActions::Now, before);
        }
    }
}
