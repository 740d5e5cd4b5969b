//! JSON that is well-formed, and that many readers refuse all the same: half of a surrogate pair, a number that no float holds, or
//! more levels than they follow.
//!
//! Who puts one into a document makes all of it unreadable to them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A number of fewer digits is in range unless it has an exponent of three or more.
const MANY_DIGITS: usize = 200;

/// Levels of lists and objects that a value may have to stand in a document of a few more: readers follow 128 (`serde_json`), 64
/// (.NET), or several hundred.
const DEEPEST: usize = 50;

/// Whether every reader takes this, which must be well-formed JSON. Looked at in two passes, and read only if something about it
/// is suspicious.
pub(super) fn reads_strictly(json: &[u8]) -> bool {
    !is_deeper_than(DEEPEST, json) && (!is_suspicious(json) || serde_json::from_slice::<Strict>(json).is_ok())
}

/// Whether well-formed JSON has more than `most` levels of lists and objects.
fn is_deeper_than(most: usize, json: &[u8]) -> bool {
    let opens = |byte: &u8| matches!(byte, b'[' | b'{');
    if json.iter().filter(|byte| opens(byte)).count() <= most {
        return false;
    }
    let (mut level, mut quoted, mut escaped) = (0_usize, false, false);
    json.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b']' | b'}' => level = level.saturating_sub(1),
            byte if opens(byte) => level += 1,
            _ => {}
        }
        level > most
    })
}

/// Whether there is an escape of a surrogate, or what could be a number out of range. It may as well be an innocent part of a
/// string.
fn is_suspicious(json: &[u8]) -> bool {
    let mut digits = 0;
    for (at, byte) in json.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                if digits >= MANY_DIGITS {
                    return true;
                }
                continue;
            }
            b'e' | b'E' if digits > 0 && has_large_exponent(&json[at + 1..]) => return true,
            b'\\' if matches!(json[at + 1..], [b'u', b'd' | b'D', ..]) => return true,
            _ => {}
        }
        digits = 0;
    }
    false
}

fn has_large_exponent(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"+").unwrap_or(rest);
    rest.get(..3).is_some_and(|exponent| exponent.iter().all(u8::is_ascii_digit))
}

/// Any value, with all of its strings and numbers understood.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
        while list.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Strict, A::Error> {
        while object.next_entry::<Strict, Strict>()?.is_some() {}
        Ok(Strict)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn what_every_reader_takes_is_told_from_what_some_refuse() {
        let long = "9".repeat(400);
        for bad in [r#""\ud83d""#, r#"["\uDE00"]"#, r#"{"\ud83dx": 1}"#, "1e999", "[-1.5E+309]", "1e00000400", &long] {
            assert!(!reads_strictly(bad.as_bytes()), "{bad}");
        }
        let small = format!("0.{long}");
        for good in [r#""\ud83d\ude00""#, r#""\\ud83d 1e999""#, "1e-999", "1e308", "1e0000000001", "null", &small] {
            assert!(reads_strictly(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn levels_are_counted_and_those_within_strings_are_not() {
        let nested =
            |levels: usize| format!(r#"{}"\"]"{}"#, r#"[{"[": 1, "a": "#.repeat(levels / 2), "}]".repeat(levels / 2));
        assert!(reads_strictly(nested(DEEPEST).as_bytes()));
        assert!(!reads_strictly(nested(DEEPEST + 2).as_bytes()));
        assert!(reads_strictly(format!("[{}1]", "[],{},".repeat(DEEPEST)).as_bytes()), "many, side by side");
        assert!(reads_strictly(serde_json::to_string(&"[".repeat(1000)).unwrap().as_bytes()));
    }

    #[test]
    fn what_is_plain_is_not_read() {
        for plain in
            [r#"{"e": "1e99", "été": [1.5e10, -2E-400, "\u00e9\n"], "feed": "12ee345"}"#, "\"deed\\\\u00\"", "1e"]
        {
            assert!(!is_suspicious(plain.as_bytes()), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_strict_reader_about_anything(json in r#"(\[|\{"a":|"|\\u|[dD][8-9a-f]|[0-9]|[eE]|[+-]|\.|,|\]|\}){0,24}"#) {
            if serde_json::from_str::<&RawValue>(&json).is_ok() {
                prop_assert_eq!(reads_strictly(json.as_bytes()), serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
            }
        }
    }
}
