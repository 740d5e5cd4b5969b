//! The Markdown of the error pages as HTML: headings, paragraphs, `code`, **strong**, links. They use no more than that.

use std::fmt::Write as _;

/// Turns a page into HTML. Links to other error pages lead below `errors`; those to documents that are not served here
/// become what they say.
pub(super) fn html(markdown: &str, errors: &str) -> String {
    let mut page = String::new();
    for block in markdown.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let (tag, text) = block.strip_prefix("# ").map_or(("p", block), |heading| ("h1", heading));
        page.push('<');
        page.push_str(tag);
        page.push('>');
        inline(text, errors, &mut page);
        // Writing to a String cannot fail.
        let _ = writeln!(page, "</{tag}>");
    }
    page
}

fn inline(text: &str, errors: &str, page: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        escape(&rest[..at], page);
        rest = &rest[at..];
        let taken = spanned(rest, "`", "`").map(|(inner, after)| ("code", inner, after));
        let taken = taken.or_else(|| spanned(rest, "**", "**").map(|(inner, after)| ("strong", inner, after)));
        if let Some((tag, inner, after)) = taken {
            let _ = write!(page, "<{tag}>");
            if tag == "code" {
                escape(inner, page);
            } else {
                inline(inner, errors, page);
            }
            let _ = write!(page, "</{tag}>");
            rest = after;
        } else if let Some((label, target, after)) = link(rest) {
            match target.strip_suffix(".md").filter(|name| !name.contains('/')) {
                Some(name) => {
                    let _ = write!(page, "<a href=\"");
                    escape(errors, page);
                    escape(name, page);
                    let _ = write!(page, "\">");
                    inline(label, errors, page);
                    let _ = write!(page, "</a>");
                }
                None => inline(label, errors, page),
            }
            rest = after;
        } else {
            escape(&rest[..1], page);
            rest = &rest[1..];
        }
    }
    escape(rest, page);
}

/// What stands between two marks at the beginning, and what comes after them.
fn spanned<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(open)?.split_once(close).filter(|(inner, _)| !inner.is_empty())
}

/// A link at the beginning: what it says, where it leads, and what comes after it.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (label, rest) = spanned(text, "[", "](")?;
    let (target, after) = rest.split_once(')')?;
    Some((label, target, after))
}

fn escape(text: &str, page: &mut String) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            c => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_pages_use_is_turned_into_html_and_the_rest_is_text() {
        let page = "# `a-b`\n\n**What.** See `x < \"y\"` and\n[that](c-d.md), or [`more`](../other.md#x).\n\n2 * 3 [sic] & `open\n";
        let expected = "<h1><code>a-b</code></h1>\n<p><strong>What.</strong> See <code>x &lt; &quot;y&quot;</code> and\n\
                        <a href=\"/e/c-d\">that</a>, or <code>more</code>.</p>\n<p>2 * 3 [sic] &amp; `open</p>\n";
        assert_eq!(html(page, "/e/"), expected);
    }
}
