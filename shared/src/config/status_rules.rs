//! `statuses` of a kind with `http`: what an upstream's answer means for the job.

use std::collections::BTreeMap;

use config::{Value, ValueKind};

use super::value::{Parsed, shown, text};

/// What becomes of an attempt whose upstream gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is the output.
    Complete,
    /// Another attempt may mend it, after its Retry-After or the kind's backoff.
    Retry,
    /// Another attempt would fail too.
    Fail,
    /// Not now: another attempt after its Retry-After, and none is charged.
    Snooze,
}

impl Verdict {
    const NAMED: [(&'static str, Self); 4] =
        [("complete", Self::Complete), ("retry", Self::Retry), ("fail", Self::Fail), ("snooze", Self::Snooze)];

    /// As it is written in the configuration.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, verdict)| *verdict == self).map_or("", |(name, _)| name)
    }
}

/// What was configured, by status (`409`) or class (`5xx`), over what holds without: 2xx completes; 408, 425, 429 and 5xx
/// are retried; all else fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusRules(BTreeMap<String, Verdict>);

impl StatusRules {
    /// What a status means: the status itself before its class, what is configured before what is not.
    pub fn verdict(&self, status: u16) -> Verdict {
        let class = format!("{}xx", status / 100);
        if let Some(verdict) = self.0.get(&status.to_string()).or_else(|| self.0.get(&class)) {
            return *verdict;
        }
        match status {
            200..=299 => Verdict::Complete,
            408 | 425 | 429 | 500.. => Verdict::Retry,
            _ => Verdict::Fail,
        }
    }

    /// What is configured, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Verdict)> {
        self.0.iter().map(|(status, verdict)| (status.as_str(), *verdict))
    }
}

/// A table of statuses.
pub(super) fn status_rules(value: &Value) -> Parsed<StatusRules> {
    let ValueKind::Table(table) = &value.kind else {
        return Err(format!("{} is not a table, such as {{ 409 = \"complete\", 5xx = \"fail\" }}", shown(&value.kind)));
    };
    let mut rules = BTreeMap::new();
    for (status, verdict) in table {
        let bytes = status.as_bytes();
        let is_class = bytes.len() == 3 && (b'2'..=b'5').contains(&bytes[0]) && &bytes[1..] == b"xx";
        let is_status = bytes.len() == 3 && status.parse::<u16>().is_ok_and(|status| (200..600).contains(&status));
        if !is_class && !is_status {
            return Err(format!("{status:?} is not a status from 200 to 599 or a class of them, such as \"5xx\""));
        }
        if matches!(status.as_str(), "202" | "303") {
            return Err(format!(
                "{status} is not free: it says that the upstream finishes later, or where the result is"
            ));
        }
        let said = text(verdict).map_err(|problem| format!("`{status}`: {problem}"))?;
        let known = Verdict::NAMED.iter().find(|(name, _)| *name == said);
        let Some((_, verdict)) = known else {
            return Err(format!("`{status}`: {said:?} is not one of \"complete\", \"retry\", \"fail\" and \"snooze\""));
        };
        rules.insert(status.clone(), *verdict);
    }
    Ok(StatusRules(rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(pairs: &[(&str, &str)]) -> Parsed<StatusRules> {
        let table: config::Map<String, Value> =
            pairs.iter().map(|(status, verdict)| ((*status).to_owned(), Value::new(None, *verdict))).collect();
        status_rules(&Value::new(None, table))
    }

    #[test]
    fn a_status_wins_over_its_class_and_a_rule_over_what_holds_without() {
        let rules = rules(&[("5xx", "fail"), ("503", "snooze"), ("404", "complete"), ("2xx", "retry")]).unwrap();
        for (status, verdict) in [
            (500, Verdict::Fail),
            (503, Verdict::Snooze),
            (404, Verdict::Complete),
            (200, Verdict::Retry),
            (429, Verdict::Retry),
            (400, Verdict::Fail),
            (304, Verdict::Fail),
        ] {
            assert_eq!(rules.verdict(status), verdict, "{status}");
        }
        let none = StatusRules::default();
        assert_eq!((none.verdict(204), none.verdict(503)), (Verdict::Complete, Verdict::Retry));
    }

    #[test]
    fn what_is_no_status_or_no_verdict_is_refused_by_name() {
        for (status, verdict, said) in [
            ("600", "fail", "\"600\" is not a status"),
            ("1xx", "fail", "\"1xx\" is not a status"),
            ("5", "fail", "\"5\" is not a status"),
            ("409", "ignore", "`409`: \"ignore\" is not one of"),
            ("202", "complete", "202 is not free"),
        ] {
            let problem = rules(&[(status, verdict)]).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }
}
