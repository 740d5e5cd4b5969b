//! What must hold for the query of a list.

use raincheck_shared::domain::TenantName;

use super::{refused, told};
use crate::http::extract::Query;
use crate::http::list_jobs::{Wish, next_page, read_wish};

/// Jobs of a page at most, here.
const MOST: u32 = 200;

/// The query of `GET /v1/jobs`: what is refused says the parameter, and the link to the next page asks for the same jobs.
pub fn filter(bytes: &[u8]) {
    let read = |text: &str| {
        Query::parse(text).map(|mut query| {
            let wish = read_wish(&mut query, TenantName::default(), MOST);
            (wish, query.finish())
        })
    };
    let text = String::from_utf8_lossy(bytes);
    let (Wish { filter, limit, cursor }, findings) = match read(&text) {
        Ok(read) => read,
        Err(problem) => return refused(&problem),
    };
    told(&findings);
    if !findings.is_empty() {
        return;
    }
    assert!((1..=MOST).contains(&limit));
    let cursor = cursor.unwrap_or_else(|| "a cursor".to_owned());
    let next = next_page(&filter, limit, &cursor);
    assert!(next.bytes().all(|byte| byte.is_ascii_graphic()), "{next}");
    let (_, query) = next.split_once('?').expect("a page has a limit");
    let again = read(query).map(|(wish, findings)| (wish.filter, wish.limit, wish.cursor, findings));
    assert_eq!(again.ok(), Some((filter, limit, Some(cursor), findings)), "{next}");
}
