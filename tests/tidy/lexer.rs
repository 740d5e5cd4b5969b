//! Just enough of Rust's grammar to tell code from comments and from what stands in quotes.

/// A source in two parts, both with the lines where they were.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    /// The code; comments and the insides of literals are blanks.
    pub(crate) code: String,
    /// Each string literal: the line it starts on, from 1, and what it says.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Lexed {
    /// Lines on which `words` stand as code, one after the other. A word is a whole identifier.
    pub(crate) fn lines_with(&self, words: &str) -> Vec<usize> {
        let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut lines = Vec::new();
        for (at, _) in self.code.match_indices(words) {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + words.len()..].chars().next();
            let cut = |outside: Option<char>, inside: Option<char>| {
                outside.is_some_and(part_of_a_word) && inside.is_some_and(part_of_a_word)
            };
            if !cut(before, words.chars().next()) && !cut(after, words.chars().next_back()) {
                lines.push(self.code[..at].matches('\n').count() + 1);
            }
        }
        lines
    }
}

/// Takes a source apart.
pub(crate) fn lex(source: &str) -> Lexed {
    let chars: Vec<char> = source.chars().collect();
    let mut lexed = Lexed::default();
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => string_end(&chars, at, &mut lexed),
            'r' if starts_raw_string(&chars, at) => raw_string_end(&chars, at, &mut lexed),
            '\'' => char_end(&chars, at),
            c => {
                lexed.code.push(c);
                at += 1;
                continue;
            }
        };
        // Blanks for what was skipped, so that words stay apart and lines stay where they are.
        lexed.code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    lexed
}

fn line_end(chars: &[char], at: usize) -> usize {
    (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len())
}

fn comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i.min(chars.len())
}

fn string_end(chars: &[char], at: usize, lexed: &mut Lexed) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    keep(chars, at + 1, i, lexed);
    (i + 1).min(chars.len())
}

fn starts_raw_string(chars: &[char], at: usize) -> bool {
    // `br"` too; in `for"` or `r#type` it is the end of a word or the start of one.
    let joined = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    let joined = joined && !(chars[at - 1] == 'b' && (at < 2 || !chars[at - 2].is_alphanumeric()));
    !joined && chars[at + 1..].iter().find(|c| **c != '#') == Some(&'"')
}

fn raw_string_end(chars: &[char], at: usize, lexed: &mut Lexed) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let start = at + hashes + 2;
    let closes =
        |i: usize| chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    let end = (start..chars.len()).find(|i| closes(*i)).unwrap_or(chars.len());
    keep(chars, start, end, lexed);
    (end + 1 + hashes).min(chars.len())
}

fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => (at + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(chars.len(), |i| i + 1),
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1, // a lifetime
    }
}

fn keep(chars: &[char], start: usize, end: usize, lexed: &mut Lexed) {
    let line = lexed.code.matches('\n').count() + 1;
    lexed.strings.push((line, chars[start..end.min(chars.len())].iter().collect()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let source = r##"
            use sqlx::Row; // tokio
            /* lapin /* nested */ actix */ let c = '"'; let s: &'static str = "re\"qwest";
            let raw = r#"SELECT "x" "#; let byte = br"y"; let e = '\''; let r#type = uuid();
        "##;
        let lexed = lex(source);
        for gone in ["tokio", "lapin", "actix", "reqwest", "SELECT", "nested"] {
            assert!(!lexed.code.contains(gone), "{gone} in {}", lexed.code);
        }
        for kept in ["sqlx::Row", "static str", "uuid()", "r#type", "let e"] {
            assert!(lexed.code.contains(kept), "{kept} not in {}", lexed.code);
        }
        let said: Vec<_> = lexed.strings.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(said, [(3, "re\\\"qwest"), (4, "SELECT \"x\" "), (4, "y")]);
        assert_eq!(lexed.code.lines().count(), source.lines().count());
    }

    #[test]
    fn a_word_is_a_whole_identifier() {
        let lexed = lex("let sqlx_error = 1;\nuse sqlx::Row;\nuse my_sqlx;\n");
        assert_eq!(lexed.lines_with("sqlx"), [2]);
        assert_eq!(lex("a.publish(x)\nb.publisher()").lines_with(".publish("), [1]);
    }
}
