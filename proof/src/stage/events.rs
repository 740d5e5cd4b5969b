//! A stream of server-sent events as a client reads it, event by event.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

/// The longest that anybody waits for the next thing to be said.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its `event`.
    pub name: String,
    /// Its `id`.
    pub id: String,
    /// Its `data`, the lines joined again.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {}", self.data))
    }
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// An event.
    Event(Event),
    /// A comment.
    Comment,
    /// It has ended, properly or not.
    End,
}

/// An open stream.
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl EventStream {
    /// Of an answer that has just begun.
    pub fn new(response: reqwest::Response) -> Self {
        Self { response, unread: Vec::new() }
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The next event; `None` when the stream ended.
    pub async fn event(&mut self) -> Option<Event> {
        loop {
            match self.said().await {
                Said::Event(event) => return Some(event),
                Said::Comment => {}
                Said::End => return None,
            }
        }
    }

    /// All events until the stream ends.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.event().await {
            all.push(event);
        }
        all
    }

    /// The next event or comment, or the end. Blocks that are neither, such as `retry`, are passed over.
    pub async fn said(&mut self) -> Said {
        loop {
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(said) = read(std::str::from_utf8(&block).unwrap()) {
                    return said;
                }
            }
            match timeout(PATIENCE, self.response.chunk()).await.unwrap() {
                Ok(Some(bytes)) => self.unread.extend_from_slice(&bytes),
                Ok(None) | Err(_) => return Said::End,
            }
        }
    }
}

fn read(block: &str) -> Option<Said> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.collect::<Vec<_>>().join("\n")
    };
    if block.lines().any(|line| line.starts_with("data: ")) {
        return Some(Said::Event(Event { name: field("event"), id: field("id"), data: field("data") }));
    }
    block.starts_with(':').then_some(Said::Comment)
}
