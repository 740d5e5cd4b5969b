//! `GET /docs`.

use super::{assert_problem, get};
use crate::harness::served::Served;
use crate::tidy::tree;

#[tokio::test]
async fn the_page_comes_out_of_the_binary_and_loads_nothing_from_elsewhere() {
    let served = Served::idle().await;
    let page = get(&served.client, "/docs", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    for rule in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!text.contains("http://") && !text.contains("https://"), "a link to elsewhere");
    assert!(!text.contains(" style=\"") && !text.contains(" onclick="), "the policy would stop it");
    // The script and the style are allowed by their digests, so they must be those that were digested.
    assert!(policy.matches("'sha256-").count() == 2, "{policy}");
    assert!(served.stop().await);
}

#[tokio::test]
async fn the_type_of_every_problem_leads_to_a_page_that_a_person_can_read() {
    let served = Served::idle().await;
    let refused = get(&served.client, "/v1/jobs?cursor=x", &[]).await;
    let kind = refused.json()["type"].as_str().unwrap().to_owned();
    let pages = tree::sources(&["md"]);
    let codes = pages.iter().filter_map(|page| page.path.strip_prefix("docs/errors/")?.strip_suffix(".md"));
    let paths = codes.filter(|code| *code != "README").map(|code| format!("/docs/errors/{code}"));
    let mut seen = 0;
    for path in paths.chain([kind]) {
        let page = get(&served.client, &path, &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        let code = path.rsplit('/').next().unwrap();
        assert!(text.contains(&format!("<h1><code>{code}</code></h1>")), "{text}");
        assert!(text.contains("<strong>What to do.</strong>"), "{text}");
        assert!(!page.header("content-security-policy").contains("unsafe"));
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
    assert_problem(&get(&served.client, "/docs/errors/nope", &[]).await, 404, "route-not-found");
    assert_problem(&get(&served.client, "/docs/errors/README", &[]).await, 404, "route-not-found");
    assert!(served.stop().await);
}
