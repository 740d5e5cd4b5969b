//! Query parameters, read strictly: unknown ones, repeated ones and broken encodings are refused, so that a typo never
//! silently drops a deadline.

use std::collections::BTreeMap;
use std::fmt::Write;

use actix_web::HttpRequest;
use actix_web::http::Method;

use crate::http::code::Code;
use crate::http::problem::{Finding, Problem};

/// The parameter that carries a ticket.
pub(crate) const TICKET: &str = "ticket";

/// The first value of a parameter in a bare query, if all of it can be read.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    decode(query)?.into_iter().find_map(|(given, value)| (given == name).then_some(value))
}

/// Parameters that are yet to be taken.
#[derive(Debug, Default)]
pub(crate) struct Query {
    left: Vec<(String, String)>,
    /// What was wrong with those already taken.
    pub(crate) findings: Vec<Finding>,
}

impl Query {
    /// Reads the request's query. A ticket is not in it: whoever lets requests in has seen to that.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut query = Self::parse(request.query_string())?;
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            query.left.retain(|(name, _)| name != TICKET);
        }
        Ok(query)
    }

    /// Reads a bare query.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let broken = || {
            let detail = "the query is not UTF-8 in percent-encoding";
            Problem::new(Code::MalformedRequest, detail)
        };
        let mut query = Self { left: decode(text).ok_or_else(broken)?, findings: Vec::new() };
        for (name, value) in &query.left {
            if name.contains('\0') || value.contains('\0') {
                query.findings.push(Finding::new(format!("/{}", shown(name)), "must not contain NUL"));
            }
        }
        Ok(query)
    }

    /// All values of a parameter.
    pub(crate) fn many(&mut self, name: &str) -> Vec<String> {
        self.left.extract_if(.., |(n, _)| n == name).map(|(_, value)| value).collect()
    }

    /// The value of a parameter that may be given once.
    pub(crate) fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.many(name);
        if values.len() > 1 {
            self.fault(name, "is given more than once");
        }
        values.pop()
    }

    /// All parameters whose names begin so, by the rest of their names; each may be given once.
    pub(crate) fn prefixed(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let taken: Vec<_> = self.left.extract_if(.., |(name, _)| name.starts_with(prefix)).collect();
        let mut values = BTreeMap::new();
        for (name, value) in taken {
            if values.insert(name[prefix.len()..].to_owned(), value).is_some() {
                self.fault(&shown(&name), "is given more than once");
            }
        }
        values
    }

    /// The value of a parameter, read by `read`, whose error says what is wrong.
    pub(crate) fn parsed<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match read(&self.one(name)?) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.fault(name, detail);
                None
            }
        }
    }

    /// Notes what is wrong with a parameter.
    pub(crate) fn fault(&mut self, name: &str, detail: impl Into<String>) {
        self.findings.push(Finding::new(format!("/{name}"), detail));
    }

    /// Everything that was wrong; whatever was not taken is.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        for (name, _) in std::mem::take(&mut self.left) {
            self.fault(&shown(&name), "there is no such parameter");
        }
        self.findings
    }

    /// The same as a problem, if anything was wrong.
    pub(crate) fn check(self) -> Result<(), Problem> {
        let findings = self.finish();
        if findings.is_empty() { Ok(()) } else { Err(Problem::of_findings(Code::InputInvalid, findings)) }
    }
}

/// A name that somebody sent; a long one is cut, it is only shown.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

fn decode(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode_part(name)?, decode_part(value)?))
        })
        .collect()
}

fn decode_part(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A value as it can stand in a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_percent_encoding_is_refused() {
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff", "%c3=1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode("a=1+%C3%A4&b&&c=="), {
            let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
            Some(vec![pair("a", "1 ä"), pair("b", ""), pair("c", "=")])
        });
    }

    #[test]
    fn what_was_not_taken_is_unknown() {
        let mut query = Query { left: decode("a=1&b=2&a=3").unwrap(), findings: Vec::new() };
        assert_eq!(query.many("a"), ["1", "3"]);
        assert_eq!(query.finish(), [Finding::new("/b", "there is no such parameter")]);
    }

    #[test]
    fn a_name_is_shown_without_nul_and_cut() {
        let query = Query::parse(&format!("a%00{}=1", "b".repeat(1000))).unwrap();
        let pointer = format!("/a\u{fffd}{}", "b".repeat(78));
        let details = ["must not contain NUL", "there is no such parameter"];
        assert_eq!(query.finish(), details.map(|detail| Finding::new(pointer.clone(), detail)));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(text in "\\PC{0,40}") {
            prop_assert_eq!(decode_part(&encode(&text)), Some(text));
        }

        #[test]
        fn no_query_panics(text in "[ -~]{0,60}") {
            let _ = decode(&text);
        }
    }
}
