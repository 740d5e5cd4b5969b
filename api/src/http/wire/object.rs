//! A JSON object, read strictly: every unknown, repeated or ill-typed field is noted with its pointer, all at once.

use std::fmt;

use raincheck_shared::domain::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::values::{read_duration, read_instant};
use crate::http::code::Code;
use crate::http::problem::{Finding, Problem};

/// Fields of one object. More are looked at by nobody: comparing them all with each other would cost too much.
const MOST_FIELDS: usize = 200;
/// The same of one whose names are its client's: as many as `jobs.max_metadata` may allow.
const MOST_PAIRS: usize = 1_000;

/// A name as one step of a JSON pointer; a long one is cut, it is only shown.
pub(crate) fn pointer_token(name: &str) -> String {
    let name: String = name.chars().take(80).collect();
    name.replace('~', "~0").replace('/', "~1").replace('\0', "\u{fffd}")
}

/// The fields of one object that are yet to be taken.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pointer: String,
    left: Vec<(String, &'a RawValue)>,
    /// What was wrong with those already taken.
    pub(crate) findings: Vec<Finding>,
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

impl<'a> Fields<'a> {
    /// Reads a body that must be an object. Broken JSON is a malformed request, other JSON an invalid one.
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, Problem> {
        match serde_json::from_slice::<Pairs<'_>>(body) {
            Ok(pairs) => Ok(Self::new(String::new(), pairs, MOST_FIELDS)),
            Err(error) if error.is_data() => {
                Err(Problem::of_findings(Code::InputInvalid, vec![Finding::new("", "must be a JSON object")]))
            }
            Err(error) => Err(Problem::new(Code::MalformedRequest, format!("the body is not JSON: {error}"))),
        }
    }

    fn new(pointer: String, Pairs(pairs): Pairs<'a>, most: usize) -> Self {
        let mut fields = Self { pointer, left: Vec::new(), findings: Vec::new() };
        if pairs.len() > most {
            let detail = format!("has more than {most} fields");
            fields.findings.push(Finding::new(fields.pointer.clone(), detail));
            return fields;
        }
        for (name, value) in pairs {
            if fields.left.iter().any(|(known, _)| *known == name) {
                fields.fault(&name, "is given twice");
            } else {
                fields.left.push((name, value));
            }
        }
        fields
    }

    /// Notes what is wrong with a field.
    pub(crate) fn fault(&mut self, name: &str, detail: impl Into<String>) {
        self.findings.push(Finding::new(format!("{}/{}", self.pointer, pointer_token(name)), detail));
    }

    /// The same of a part of a field, by its pointer from here.
    pub(crate) fn fault_at(&mut self, pointer: &str, detail: impl Into<String>) {
        self.findings.push(Finding::new(format!("{}/{pointer}", self.pointer), detail));
    }

    /// A field as it stands in the text; `None` when it is absent. Its `null` is a value.
    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.swap_remove(at).1)
    }

    /// A field of some type; `None` when it is absent, `null`, or (which is noted) not of that type.
    fn typed<T: Deserialize<'a>>(&mut self, name: &str, what: &str) -> Option<T> {
        let read = serde_json::from_str::<Option<T>>(self.raw(name)?.get());
        if read.is_err() {
            self.fault(name, format!("must be {what}"));
        }
        read.ok().flatten()
    }

    /// Text that both stores can keep.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let text: String = self.typed(name, "a string")?;
        if text.contains('\0') {
            self.fault(name, "must not contain NUL");
            return None;
        }
        Some(text)
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        self.typed(name, "a list of strings").unwrap_or_default()
    }

    /// A list of values as they stand in the text; `None` when it is absent, `null`, or (which is noted) no list.
    pub(crate) fn list(&mut self, name: &str) -> Option<Vec<&'a RawValue>> {
        self.typed(name, "a list")
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn number(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let what = format!("a whole number from {min} to {max}");
        let number = self.typed(name, &what)?;
        if !(min..=max).contains(&number) {
            self.fault(name, format!("must be {what}"));
            return None;
        }
        Some(number)
    }

    /// A number from `min` to `max`.
    pub(crate) fn float(&mut self, name: &str, min: f64, max: f64) -> Option<f64> {
        let what = format!("a number from {min} to {max}");
        let number: f64 = self.typed(name, &what)?;
        if !(min..=max).contains(&number) {
            self.fault(name, format!("must be {what}"));
            return None;
        }
        Some(number)
    }

    /// `true` or `false`; `None` when it is absent.
    pub(crate) fn choice(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "true or false")
    }

    /// `true` or `false`; `false` when it is absent.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.choice(name).unwrap_or(false)
    }

    /// A duration such as `"30s"`.
    pub(crate) fn duration(&mut self, name: &str) -> Option<std::time::Duration> {
        self.parsed(name, read_duration)
    }

    /// An instant as in RFC 3339.
    pub(crate) fn instant(&mut self, name: &str) -> Option<Timestamp> {
        self.parsed(name, read_instant)
    }

    /// A text with a meaning.
    pub(crate) fn parsed<T>(&mut self, name: &str, read: fn(&str) -> Result<T, String>) -> Option<T> {
        match read(&self.text(name)?) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.fault(name, detail);
                None
            }
        }
    }

    /// An object inside this one; `None` when it is absent or `null`. Its [`Fields::finish`] goes to
    /// [`Fields::absorb`].
    pub(crate) fn object(&mut self, name: &str) -> Option<Fields<'a>> {
        self.object_of(name, MOST_FIELDS)
    }

    /// The same of one whose names are its client's.
    pub(crate) fn pairs(&mut self, name: &str) -> Option<Fields<'a>> {
        self.object_of(name, MOST_PAIRS)
    }

    fn object_of(&mut self, name: &str, most: usize) -> Option<Fields<'a>> {
        let pairs = self.typed(name, "an object")?;
        Some(Self::new(format!("{}/{}", self.pointer, pointer_token(name)), pairs, most))
    }

    /// Takes over what was wrong with an object inside this one.
    pub(crate) fn absorb(&mut self, inner: Fields<'_>) {
        self.findings.extend(inner.finish());
    }

    /// The names that are left.
    pub(crate) fn names(&self) -> Vec<String> {
        self.left.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Everything that was wrong; whatever was not taken is.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        for name in self.names() {
            self.fault(&name, "there is no such field");
        }
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.pointer.as_str()).collect()
    }

    #[test]
    fn everything_wrong_is_found_at_once_with_its_pointer() {
        let body = br#"{"a": 1, "b": "x\u0000", "a": 2, "c": {"d": 1, "e/f": 2}, "g": null, "h~": 0}"#;
        let mut fields = Fields::of_body(body).unwrap();
        assert_eq!(fields.text("a"), None);
        assert_eq!(fields.text("b"), None);
        assert_eq!(fields.text("g"), None);
        let mut inner = fields.object("c").unwrap();
        assert_eq!(inner.number("d", 0, 9), Some(1));
        fields.absorb(inner);
        assert_eq!(pointers(&fields.finish()), ["/a", "/a", "/b", "/c/e~1f", "/h~0"]);
    }

    #[test]
    fn an_object_has_so_many_fields_and_one_of_a_clients_names_more() {
        let pairs = |count: usize| (0..count).map(|n| format!("\"n{n}\": \"\"")).collect::<Vec<_>>().join(",");
        for (count, as_object, as_pairs) in [(200, 0, 0), (201, 1, 0), (1_000, 1, 0), (1_001, 1, 1)] {
            let body = format!("{{\"m\": {{{}}}}}", pairs(count));
            let read = |pairs: bool| {
                let mut fields = Fields::of_body(body.as_bytes()).unwrap();
                if pairs { fields.pairs("m") } else { fields.object("m") }.unwrap().findings.len()
            };
            assert_eq!((read(false), read(true)), (as_object, as_pairs), "{count}");
        }
    }

    #[test]
    fn depth_does_not_cost_stack() {
        let body = format!("{{\"input\": {}1{}}}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(Fields::of_body(body.as_bytes()).unwrap().raw("input").is_some());
        assert!(Fields::of_body("[".repeat(500_000).as_bytes()).is_err());
    }
}
