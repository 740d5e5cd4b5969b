//! `GET /docs`.

use super::get;
use crate::harness::served::Served;

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
