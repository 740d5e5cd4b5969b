//! Follows what is written on a connection from answer to answer, so that a piece of a body is never taken for a head.

/// Where in its answers a connection is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum AnswersWritten {
    /// Before the next head.
    #[default]
    Head,
    /// In a body, so many bytes before its end.
    Body(u64),
    /// In a body, before its next chunk.
    Chunk,
    /// It cannot be told.
    Unknown,
}

impl AnswersWritten {
    /// Follows what is written next, in pieces as they are put together: each head is whole, each chunk as well.
    /// Answers where a head begins of which `is_sought` is true, and stops before it.
    pub(super) fn follow(
        &mut self,
        mut bytes: &[u8],
        bodiless: bool,
        is_sought: impl Fn(&[u8]) -> bool,
    ) -> Option<usize> {
        let all = bytes.len();
        while !bytes.is_empty() {
            let passed = match *self {
                Self::Unknown => return None,
                Self::Head => {
                    let head = head(bytes);
                    if head.is_some_and(&is_sought) {
                        return Some(all - bytes.len());
                    }
                    *self = if bodiless { Self::Unknown } else { head.map_or(Self::Unknown, after) };
                    head.map(<[u8]>::len)
                }
                Self::Body(left) => {
                    let here = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - here as u64;
                    *self = if left == 0 { Self::Head } else { Self::Body(left) };
                    Some(here)
                }
                Self::Chunk => {
                    let chunk = chunk(bytes);
                    if let Some((_, true)) = chunk {
                        *self = Self::Head;
                    }
                    chunk.map(|(length, _)| length)
                }
            };
            let Some(rest) = passed.and_then(|passed| bytes.get(passed..)) else {
                *self = Self::Unknown;
                return None;
            };
            bytes = rest;
        }
        None
    }
}

/// The head that these bytes begin with.
fn head(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(&bytes[..end + 4])
}

/// What comes after a head.
fn after(head: &[u8]) -> AnswersWritten {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let Some(status) = lines.next().and_then(|line| line.strip_prefix(b"HTTP/1.1 ")) else {
        return AnswersWritten::Unknown;
    };
    if status.starts_with(b"1") || status.starts_with(b"204") || status.starts_with(b"304") {
        return AnswersWritten::Head;
    }
    // The framework writes it first.
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            return match std::str::from_utf8(value).map(str::parse) {
                Ok(Ok(0)) => AnswersWritten::Head,
                Ok(Ok(length)) => AnswersWritten::Body(length),
                _ => AnswersWritten::Unknown,
            };
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return AnswersWritten::Chunk;
        }
    }
    AnswersWritten::Unknown
}

/// How long the chunk is that these bytes begin with, and whether it is the last.
fn chunk(bytes: &[u8]) -> Option<(usize, bool)> {
    let line = bytes.iter().take(20).position(|byte| *byte == b'\r')?;
    let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
    Some((size.checked_add(line + 4)?, size == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUGHT: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

    fn found(writes: &[&str]) -> Vec<Option<usize>> {
        let mut answers = AnswersWritten::default();
        let is_sought = |head: &[u8]| head == SOUGHT.as_bytes();
        writes.iter().map(|bytes| answers.follow(bytes.as_bytes(), false, is_sought)).collect()
    }

    #[test]
    fn a_head_is_found_behind_any_answer() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ndate: x\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nB\r\nhello world\r\n0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n",
        ] {
            assert_eq!(found(&[&format!("{answer}{SOUGHT}")]), [Some(answer.len())], "{answer}");
            assert_eq!(found(&[answer, SOUGHT]), [None, Some(0)], "{answer}");
        }
    }

    #[test]
    fn what_looks_like_one_in_a_body_is_not() {
        let length = SOUGHT.len();
        for writes in [
            &[&*format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"), SOUGHT][..],
            &[&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{SOUGHT}", 2 * length), SOUGHT],
            &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &format!("{length:X}\r\n{SOUGHT}\r\n")],
            // Until the connection ends.
            &["HTTP/1.1 200 OK\r\ndate: x\r\n\r\n", SOUGHT],
            &["HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", SOUGHT],
        ] {
            assert!(found(writes).iter().all(Option::is_none), "{writes:?}");
        }
    }
}
