//! `text/event-stream`, as the HTML standard has it: bytes in, events out.

use std::collections::VecDeque;
use std::time::Duration;

/// More than an event can be, in bytes: one of the server's holds a job, whose result is cut at its inline limit.
const LARGEST: usize = 16 << 20;

/// The events of one stream. What is left over at its end was cut, and is no event.
#[derive(Debug, Default)]
pub struct EventStream {
    line: Vec<u8>,
    data: Option<String>,
    events: VecDeque<String>,
    retry: Option<Duration>,
    /// The line before ended with `\r`: a `\n` that follows belongs to it.
    returned: bool,
}

impl EventStream {
    /// Takes more bytes in. False: an event would be longer than any that raincheck sends.
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        if std::mem::take(&mut self.returned) && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.extend_from_slice(&bytes[..end]);
            self.end_line();
            let both = bytes[end..].starts_with(b"\r\n");
            self.returned = end + 1 == bytes.len() && bytes[end] == b'\r';
            bytes = &bytes[end + if both { 2 } else { 1 }..];
        }
        self.line.extend_from_slice(bytes);
        self.line.len() + self.data.as_ref().map_or(0, String::len) <= LARGEST
    }

    /// The data of the next event. Comments, ids, names and fields that are not known are passed over: a job says by itself
    /// which version it is.
    pub fn next_data(&mut self) -> Option<String> {
        self.events.pop_front()
    }

    /// The pause before a reconnect, as the stream asked for.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ if line.is_empty() => self.events.extend(self.data.take()),
            _ => {}
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_come() {
        let stream = ": hello\n\nretry: 5\n\nid: 2\r\nevent: x\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid:3\rdata:z\r\rdata: ü\n\n\
                      id: 4\ndata: cut";
        for size in [1, 2, 3, 7, stream.len()] {
            let (mut reader, mut events) = (EventStream::default(), Vec::new());
            for part in stream.as_bytes().chunks(size) {
                assert!(reader.push(part));
                events.extend(std::iter::from_fn(|| reader.next_data()));
            }
            assert_eq!(events, ["{\"a\":\n1}", "z", "ü"], "in parts of {size}");
            assert_eq!(reader.retry(), Some(Duration::from_millis(5)));
        }
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let mut reader = EventStream::default();
        let part = vec![b'x'; LARGEST / 2];
        assert!(reader.push(&part));
        assert!(reader.push(&part));
        assert!(!reader.push(b"x"));
    }
}
