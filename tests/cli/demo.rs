//! `raincheck demo` where nothing runs: the first thing that many people try.

use super::Desk;
use crate::harness::served::{Served, Work};

#[test]
fn a_demo_without_anything_serves_a_meal_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let temporary = desk.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let environment = [("TMPDIR", temporary.to_str().unwrap()), ("RAINCHECK__HTTP__LISTEN", "127.0.0.1:1")];
    let said = desk.run_with(&["demo", "pizza"], &environment);
    said.assert_code(0);
    said.assert_out_has("Nothing is ready at http://127.0.0.1:1");
    said.assert_out_has("100 %  succeeded");
    said.assert_out_has("one pizza, still hot. Enjoy!");
    said.assert_nowhere("\u{1b}[");
    assert_eq!(desk.files(), std::slice::from_ref(&temporary));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_key_is_asked_for_a_demo_shows_the_one_it_is_given() {
    let served = Served::with(Work::Worker, &[("auth.required", "true")]).await;
    let desk = Desk::new();
    let store = format!("store.url=sqlite:{}", served.folder.0.join("raincheck.db").display());
    let made = desk.run(&["keys", "create", "demo", "--set", &store]);
    made.assert_code(0);
    let (url, key) = (format!("http://{}", served.address), made.out.trim());
    let refused = desk.run(&["demo", "--url", &url]);
    refused.assert_code(1);
    refused.assert_err_has("unauthenticated");
    desk.run(&["demo", "ramen", "--url", &url, "--api-key", key]).assert_out_has("Enjoy!");
    let said = desk.run_with(&["demo", "ramen", "--url", &url], &[("RAINCHECK_API_KEY", key)]);
    said.assert_code(0);
    said.assert_nowhere(key);
}
