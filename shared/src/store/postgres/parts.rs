//! Statements with parts that most batches have no use for.
//!
//! What a statement could do costs the server each time, also when there is nothing for it to do: an `INSERT` of no row
//! takes some 20 µs, an array of NULLs as long as one of values. So the text of a statement says which of its lines are
//! for whom, and each combination is a statement of its own, prepared once on each connection.
//!
//! ```sql
//! -- if keys
//! these lines stand in the statement when asked for,
//! -- else
//! these when not;
//! -- end
//! ```

use std::sync::OnceLock;

/// Combinations of up to three parts.
const COMBINATIONS: usize = 8;

/// A statement of `N` parts, three at most.
pub struct Parts<const N: usize> {
    text: &'static str,
    names: [&'static str; N],
    combinations: [OnceLock<String>; COMBINATIONS],
}

impl<const N: usize> Parts<N> {
    /// The text of a statement, and the names of its parts.
    pub const fn new(text: &'static str, names: [&'static str; N]) -> Self {
        const { assert!(1 << N <= COMBINATIONS) };
        Self { text, names, combinations: [const { OnceLock::new() }; COMBINATIONS] }
    }

    /// The statement with those parts that are `wanted`, in the order of the names.
    pub fn with(&'static self, wanted: [bool; N]) -> &'static str {
        let combination = wanted.iter().fold(0, |number, wanted| number * 2 + usize::from(*wanted));
        self.combinations[combination].get_or_init(|| self.assemble(wanted))
    }

    fn assemble(&self, wanted: [bool; N]) -> String {
        let mut statement = String::with_capacity(self.text.len());
        let mut stands = true;
        for line in self.text.lines() {
            match line.trim_start() {
                "-- else" => stands = !stands,
                "-- end" => stands = true,
                mark => {
                    if let Some(asked) = mark.strip_prefix("-- if ") {
                        let part = self.names.iter().position(|name| *name == asked);
                        stands = part.is_none_or(|part| wanted[part]);
                    } else if stands {
                        statement.push_str(line);
                        statement.push('\n');
                    }
                }
            }
        }
        statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_the_lines_that_are_for_all_and_those_that_were_asked_for() {
        static TEXT: Parts<2> = Parts::new(
            "a\n  -- if first\n  b\n  -- end\nc\n-- if second\nd\n-- else\ne\n-- end\nf -- if first",
            ["first", "second"],
        );
        assert_eq!(TEXT.with([false, false]), "a\nc\ne\nf -- if first\n");
        assert_eq!(TEXT.with([true, false]), "a\n  b\nc\ne\nf -- if first\n");
        assert_eq!(TEXT.with([false, true]), "a\nc\nd\nf -- if first\n");
        assert_eq!(TEXT.with([true, true]), "a\n  b\nc\nd\nf -- if first\n");
    }

    #[test]
    fn every_mark_names_a_part_and_is_closed() {
        let statements = [
            (include_str!("sql/accept_jobs.sql"), &["keys", "extras"][..]),
            (include_str!("sql/accept_alike_jobs.sql"), &["keys"]),
            (include_str!("sql/finish_jobs.sql"), &["mixed", "again"]),
            (include_str!("sql/drop_spent_permits.sql"), &["named"]),
        ];
        for (text, names) in statements {
            let mut open = None;
            for line in text.lines().map(str::trim) {
                if let Some(name) = line.strip_prefix("-- if ") {
                    assert!(names.contains(&name) && open.is_none(), "{line}");
                    open = Some(name);
                } else if line == "-- else" {
                    assert!(open.is_some(), "nothing to be else of");
                } else if line == "-- end" {
                    assert!(open.take().is_some(), "nothing to end");
                }
            }
            assert_eq!(open, None, "not closed");
        }
    }
}
