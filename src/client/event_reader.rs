//! Server-sent events out of the bytes of a stream.

/// The largest event that is waited for, in bytes: the server's hold a job, whose result is cut at its inline limit.
const LARGEST: usize = 16 << 20;

/// An event that has data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) data: String,
}

/// What was received and not yet read.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    unread: Vec<u8>,
    /// As far as there is no end of a line.
    looked_at: usize,
    event: Option<Event>,
}

impl EventReader {
    /// Takes more bytes in. False: this is no stream of events.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        self.unread.extend_from_slice(bytes);
        self.unread.len() <= LARGEST
    }

    /// The next whole event. Comments and fields that are not known are passed over.
    pub(super) fn next(&mut self) -> Option<Event> {
        while let Some(end) = self.unread[self.looked_at..].iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=self.looked_at + end).collect();
            self.looked_at = 0;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                if let Some(event) = self.event.take_if(|event| !event.data.is_empty()) {
                    return Some(event);
                }
                self.event = None;
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            let event = self.event.get_or_insert_with(|| Event { id: String::new(), data: String::new() });
            match field {
                "id" => value.clone_into(&mut event.id),
                "data" => {
                    if !event.data.is_empty() {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                }
                _ => {}
            }
        }
        self.looked_at = self.unread.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_come() {
        let stream = ": hello\n\nretry: 5\n\nid: 2\r\nevent: x\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid:3\ndata:z\n\nid: 4\ndata: cut";
        for size in [1, 2, 3, 7, stream.len()] {
            let mut reader = EventReader::default();
            let mut events = Vec::new();
            for part in stream.as_bytes().chunks(size) {
                assert!(reader.push(part));
                events.extend(std::iter::from_fn(|| reader.next()));
            }
            let read: Vec<(&str, &str)> = events.iter().map(|e| (e.id.as_str(), e.data.as_str())).collect();
            assert_eq!(read, [("2", "{\"a\":\n1}"), ("3", "z")], "{size}");
        }
    }
}
